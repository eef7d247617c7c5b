"""What a push means for the catalogue: names that addresses may have, branches as drafts, and what nobody declared is what tensors show."""

from __future__ import annotations

from typing import Any

import pytest

from registry import agreements, catalog, pushes
from registry.cards import Card
from registry.models import Entry, File, Version
from tests.factories import BlobFactory, FileFactory, VersionFactory

pytestmark = pytest.mark.django_db

UNET = {"kind": "unet", "family": "SDXL", "base_model": "SDXL 1.0"}
VAE = {"kind": "vae", "family": "SDXL", "base_model": ""}
ENCODER = {"kind": "text_encoder", "family": "", "base_model": ""}
LORA = {"kind": "lora", "family": "SD 1.x", "base_model": "SD 1.5"}


@pytest.fixture
def version(creator: Any) -> Version:
    return pushes.first_version(pushes.create(creator, "paper.lantern", "public"))


def told(version: Version, detected: dict[str, Any], size: int = 1000, **fields: Any) -> File:
    """A file of the version that was found clean and is what `detected` says."""
    file: File = FileFactory(version=version, blob=BlobFactory(detected=detected), size_bytes=size, **fields)
    pushes.adopt(file)
    return file


def test_the_largest_part_of_a_pipeline_says_what_it_is(version: Version) -> None:
    told(version, VAE, 300)
    version.refresh_from_db()
    assert (version.entry.kind, version.base_model) == ("vae", "SDXL 1.0")
    told(version, ENCODER, 9000)
    told(version, UNET, 5000)
    version.entry.refresh_from_db()
    assert version.entry.kind == "checkpoint"


def test_what_was_declared_stays_and_is_asked(version: Version) -> None:
    pushes.describe(version, Card(base_model="SDXL 1.0"))
    told(version, LORA)
    version = Version.objects.select_related("entry").get()
    assert (version.base_model, version.entry.kind) == ("SDXL 1.0", "lora")
    [question] = agreements.unanswered(version, list(version.files.select_related("blob")))
    assert (question.about, question.suggestion) == ("base_model", "SD 1.5")


def test_a_kind_that_was_chosen_by_hand_is_no_longer_adopted(version: Version) -> None:
    catalog.change_entry(version.entry, kind="other")
    told(version, LORA)
    assert Entry.objects.get().kind == "other"


def test_who_may_see_it_describes_nothing(version: Version) -> None:
    catalog.change_entry(version.entry, visibility="private")
    assert Entry.objects.get().by_push


def test_a_draft_that_tells_nothing_is_published_as_other(version: Version) -> None:
    told(version, {"kind": "", "family": ""})
    assert catalog.publish(version).base_model == "Other"


def test_a_file_that_was_removed_tells_nothing_and_takes_its_variants_along(version: Version) -> None:
    file = FileFactory(version=version, blob=BlobFactory(detected=LORA))
    twin = FileFactory(version=version, source=file, role="derived")
    smaller = FileFactory(version=version, source=twin, role="derived")
    pushes.remove(file)
    assert list(version.files.all()) == []
    assert File.objects.filter(pk__in=[file.pk, twin.pk, smaller.pk], removed_at__isnull=False).count() == 3
    file.refresh_from_db()
    pushes.adopt(file)
    assert Version.objects.get().base_model == ""


def test_a_name_is_free_again_once_its_file_was_removed(version: Version) -> None:
    pushes.remove(FileFactory(version=version, name="a.safetensors"))
    FileFactory(version=version, name="a.safetensors")
    assert [file.name for file in version.files.all()] == ["a.safetensors"]


def test_branches_are_drafts_of_exactly_that_name(version: Version) -> None:
    made = pushes.create_branch(version.entry, "v3.0-fp16")
    assert (made.name, made.branch, made.status, made.base_model) == ("v3.0-fp16", "v3.0-fp16", "draft", "")
    with pytest.raises(pushes.Exists):
        pushes.create_branch(version.entry, "v3.0-fp16")
    with pytest.raises(pushes.Refused, match=r"v128 would do"):
        pushes.create_branch(version.entry, "128")
    assert pushes.first_version(version.entry) == version


def test_only_what_was_never_public_gets_another_address(version: Version) -> None:
    pushes.rename(version.entry, "lantern")
    entry = Entry.objects.get()
    assert (entry.slug, entry.name) == ("lantern", "lantern")
    with pytest.raises(pushes.Exists):
        pushes.rename(entry, "lantern")
    told(version, LORA)
    catalog.publish(Version.objects.get())
    with pytest.raises(pushes.Refused, match="address stays"):
        pushes.rename(Entry.objects.get(), "other")


def test_the_name_of_what_was_deleted_stays_taken(creator: Any) -> None:
    entry = VersionFactory(entry__owner=creator, entry__slug="lantern").entry
    Entry.objects.filter(pk=entry.pk).update(deleted_at=entry.created_at)
    with pytest.raises(pushes.Refused, match="was deleted"):
        pushes.create(creator, "lantern", "public")
