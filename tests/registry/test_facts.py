"""The facts that browsing filters by: true after every write, the same as written anew, and the file that pages recommend."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.web import filelist
from registry import catalog, facts, lifecycle, pushes
from registry.lifecycle import FileState
from registry.models import Entry, EntryFacts, Tag, Version
from registry.models.facts import UNKNOWN_SIZE
from scanner import examination, releases
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory

pytestmark = pytest.mark.django_db


def told(entry: Entry) -> dict[str, Any]:
    return EntryFacts.objects.filter(entry=entry).values().get()


def true(entry: Entry) -> dict[str, Any]:
    """What is kept, which must be what is written anew from nothing."""
    kept = told(entry)
    EntryFacts.objects.all().delete()
    facts.rebuild()
    assert told(entry) == kept
    return kept


def marks(entry: Entry) -> set[str]:
    return set(true(entry)["marks"])


def published(**fields: Any) -> Version:
    version = VersionFactory(entry=EntryFactory(**fields))
    FileFactory(version=version, size_bytes=700_000_000)
    return catalog.publish(version)


def test_writes_of_the_catalogue_keep_them_true(creator: Any) -> None:
    entry = catalog.create_entry(creator, name="Lantern", kind="lora", tags=["night"], allow_commercial_use=["Image"])
    assert {"kind:lora", "tag:night", "may:images"} <= marks(entry)
    assert true(entry)["rating"] is None
    version = catalog.create_version(entry, name="v1", base_model="SD 1.5")
    FileFactory(version=version, size_bytes=700_000_000)
    catalog.publish(version)
    kept = true(entry)
    assert (kept["rating"], kept["size_bytes"], kept["version_id"], kept["base"]) == (1, 700_000_000, version.pk, "SD 1.5")
    assert {"base:SD 1.5", "format:safetensors", "has:clean", "size:3"} <= set(kept["marks"])
    catalog.change_version(version, trigger_words=["lantrn"])
    assert "has:words" in marks(entry)
    entry.refresh_from_db()
    catalog.change_entry(entry, tags=["day"], rating=4, allow_derivatives=False)
    assert {"tag:day", "rating:4"} <= marks(entry)
    assert not {"tag:night", "may:derive"} & marks(entry)
    assert true(entry)["updated_at"] == Entry.objects.get(pk=entry.pk).updated_at
    catalog.change_entry(entry, visibility="private")
    assert true(entry)["rating"] is None
    catalog.change_entry(entry, visibility="public")
    catalog.withdraw(version)
    assert "base:SD 1.5" not in marks(entry)
    assert true(entry)["rating"] is None


def test_deleting_keeps_them_true() -> None:
    first = published()
    second = VersionFactory(entry=first.entry, base_model="SDXL 1.0", position=5)
    FileFactory(version=second)
    catalog.publish(second)
    assert {"base:SD 1.5", "base:SDXL 1.0"} <= marks(first.entry)
    catalog.delete_version(first)
    assert (true(first.entry)["base"], true(first.entry)["version_id"]) == ("SDXL 1.0", second.pk)
    catalog.delete_version(VersionFactory(entry=first.entry))
    entry = Entry.objects.get(pk=first.entry_id)
    catalog.delete_entry(entry)
    assert true(entry)["rating"] is None
    draft = VersionFactory().entry
    catalog.reindex(draft)
    catalog.delete_entry(draft)
    assert not EntryFacts.objects.filter(entry_id=draft.pk).exists()


def test_life_of_a_file_keeps_them_true() -> None:
    version = published()
    late = FileFactory(version=version, state="clean", blob=BlobFactory(container="torch-zip", detected={"precision": "fp32"}))
    facts.refresh([version.entry_id])
    assert "format:pickle" not in marks(version.entry)
    late = lifecycle.advance(late, FileState.READY)
    assert {"format:pickle", "precision:fp32", "has:clean"} <= marks(version.entry)
    late = lifecycle.advance(late, FileState.DANGER)
    assert "format:pickle" not in marks(version.entry)
    pushes.remove(version.files.get(state=FileState.READY))
    assert true(version.entry)["size_bytes"] == UNKNOWN_SIZE
    assert true(version.entry)["file_id"] is None


def test_verdicts_keep_them_true(moderator: Any) -> None:
    version = published()
    file = version.files.get()
    report = {"verdict": "suspicious", "kind": "torch-zip", "findings": [], "imports": []}
    examination.record(file.blob, report, None)
    assert true(version.entry)["scan"] == ""
    assert "has:clean" not in marks(version.entry)
    file.blob.refresh_from_db()
    file.blob.detected = {"family": "SD 3 / Flux.1", "precision": "bf16"}
    file.blob.verdict, file.blob.released = "suspicious", True
    file.blob.save()
    facts.refresh_bytes(file.blob_id)
    assert true(version.entry)["scan"] == "released"
    assert {"family:SD 3", "family:Flux.1", "precision:bf16"} <= marks(version.entry)


def test_releases_and_their_end_keep_them_true(moderator: Any) -> None:
    version = published()
    file = version.files.get()
    imports = [{"module": "torchvision.models", "name": "resnet", "verdict": "suspicious"}]
    finding = {"code": "pickle:unknown-import", "severity": "suspicious", "message": "unknown"}
    examination.record(file.blob, {"verdict": "suspicious", "kind": "torch-zip", "findings": [finding], "imports": imports}, None)
    file.blob.refresh_from_db()
    release = releases.release(file.blob, moderator, "Known to me.")
    assert true(version.entry)["scan"] == "released"
    releases.withdraw(release, moderator, "Not any more.")
    assert true(version.entry)["scan"] == ""


def test_repairs_in_the_admin_keep_them_true(admin_client: Any) -> None:
    version = published(kind="lora")
    entry, tag = version.entry, Tag.objects.create(name="old")
    catalog.change_entry(Entry.objects.get(pk=entry.pk), tags=["old"])
    response = admin_client.post(reverse("admin:registry_tag_change", args=[tag.pk]), {"name": "new"})
    assert response.status_code == 302
    assert "tag:new" in marks(entry)
    assert admin_client.post(reverse("admin:registry_version_delete", args=[version.pk]), {"post": "yes"}).status_code == 302
    assert "base:SD 1.5" not in marks(entry)


def test_command_writes_them_for_everybody(capsys: Any) -> None:
    version = published()
    EntryFacts.objects.all().delete()
    call_command("rebuild_facts")
    assert told(version.entry)["version_id"] == version.pk


FILES = st.lists(
    st.fixed_dictionaries(
        {
            "container": st.sampled_from(["safetensors", "torch-zip", "gguf", ""]),
            "verdict": st.sampled_from(["success", "suspicious"]),
            "released": st.booleans(),
            "keep": st.sampled_from(["weights", "ema", "all", None]),
            "precision": st.sampled_from(["fp16", "bf16", "keep", "fp32", None]),
            "overflow": st.sampled_from([0, 3, None]),
            "size_bytes": st.sampled_from([10, 20]),
            "state": st.sampled_from(["ready", "ready", "danger", "queued"]),
        }
    ),
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=FILES)
def test_the_file_is_the_one_that_pages_recommend(made: list[dict[str, Any]]) -> None:
    version = VersionFactory(status="published", entry=EntryFactory(live=True))
    for row in made:
        blob = BlobFactory(container=row["container"], verdict=row["verdict"], released=row["released"])
        recipe = {name: row[name] for name in ("keep", "precision", "overflow") if row[name] is not None}
        FileFactory(version=version, blob=blob, recipe=recipe, size_bytes=row["size_bytes"], state=row["state"])
    facts.refresh([version.entry_id])
    best = filelist.recommended(version.files.select_related("blob"))
    assert told(version.entry)["file_id"] == (best.pk if best else None)


def test_migration_fills_them_for_what_is_there() -> None:
    from importlib import import_module

    from django.apps import apps
    from django.db import connection

    version = published(kind="lora")
    kept = true(version.entry)
    EntryFacts.objects.all().delete()
    with connection.schema_editor() as editor:
        import_module("registry.migrations.0013_facts_for_browsing").fill(apps, editor)
    assert told(version.entry) == kept
