"""Writes to the catalogue: slugs, tags, publishing, tombstones; and that what is saved is found."""

from __future__ import annotations

from typing import Any

import pytest

from registry import catalog, queries, storage
from registry.models import BlobHash, Entry, Version
from tests.factories import EntryFactory, FileFactory, UserFactory, VersionFactory

pytestmark = pytest.mark.django_db


def published(owner: Any, name: str = "Lantern", **fields: Any) -> Version:
    entry = catalog.create_entry(owner, name=name, kind="checkpoint", **fields)
    version = catalog.create_version(entry, name="v1", base_model="SD 1.5")
    FileFactory(version=version)
    return catalog.publish(version)


def test_slugs_are_unique_among_ones_own(creator: Any, stranger: Any) -> None:
    slugs = [catalog.create_entry(owner, name="Night Café!", kind="lora").slug for owner in (creator, creator, stranger)]
    assert slugs == ["night-cafe", "night-cafe-2", "night-cafe"]


def test_a_name_without_letters_still_gets_an_address(creator: Any) -> None:
    assert catalog.create_entry(creator, name="灯笼", kind="lora").slug == "model"


def test_tags_are_folded_and_bounded(creator: Any) -> None:
    entry = catalog.create_entry(creator, name="x", kind="lora", tags=["  Big   Cats ", "big cats", "", *map(str, range(50))])
    assert entry.tags.count() == catalog.MAX_TAGS
    assert entry.tags.filter(name="big cats").exists()


def test_the_newest_version_comes_first(creator: Any) -> None:
    entry = catalog.create_entry(creator, name="x", kind="lora")
    for name in ("one", "two", "three"):
        catalog.create_version(entry, name=name, base_model="SD 1.5")
    assert [version.name for version in entry.versions.all()] == ["three", "two", "one"]


@pytest.mark.parametrize(
    ("states", "says"), [([], "upload a file"), (["scanning"], "still being examined"), (["quarantined"], "None of its files")]
)
def test_publishing_without_a_ready_file_says_what_it_waits_for(creator: Any, states: list[str], says: str) -> None:
    version = VersionFactory(entry__owner=creator)
    for state in states:
        FileFactory(version=version, state=state)
    with pytest.raises(catalog.Refused, match=says):
        catalog.publish(version)


def test_a_draft_is_neither_listed_nor_readable_until_it_is_published(creator: Any, stranger: Any) -> None:
    version = VersionFactory(entry__owner=creator)
    FileFactory(version=version)
    assert not queries.listed().exists()
    assert not queries.may_read(stranger, version.entry)
    catalog.publish(version)
    entry = Entry.objects.get(pk=version.entry_id)
    assert queries.listed().get() == entry
    assert queries.may_read(None, entry)


def test_a_private_entry_is_readable_by_owner_and_moderators_only(creator: Any, stranger: Any, moderator: Any) -> None:
    entry = published(creator, visibility="private").entry
    entry.refresh_from_db()
    assert [queries.may_read(user, entry) for user in (None, stranger, creator, moderator)] == [False, False, True, True]
    assert not queries.listed().exists()
    assert not queries.readable(stranger).exists()


def test_a_withdrawn_version_leaves_a_tombstone_and_the_list(creator: Any) -> None:
    version = published(creator)
    catalog.withdraw(version, "superseded")
    entry = Entry.objects.get(pk=version.entry_id)
    assert not queries.listed().exists()
    assert queries.may_read(None, entry)
    assert Version.objects.get(pk=version.pk).withdrawn_reason == "superseded"
    assert version.files.get().blob.sha256


def test_an_unpublished_entry_is_deleted_without_a_trace(creator: Any) -> None:
    entry = EntryFactory(owner=creator)
    catalog.delete_entry(entry)
    assert not Entry.objects.exists()


def test_a_published_entry_is_deleted_into_a_tombstone(creator: Any) -> None:
    entry = published(creator).entry
    catalog.delete_entry(Entry.objects.get(pk=entry.pk), "moved")
    entry.refresh_from_db()
    assert (entry.gone, entry.name, entry.versions.count()) == (True, "Lantern", 1)
    assert not queries.listed().exists()


@pytest.mark.parametrize("words", ["lantern", "LANTERN", "lant", "ada", "harbour", "glowstyle", "dream file", "SDXL", "painted"])
def test_what_was_saved_is_found(creator: Any, words: str) -> None:
    entry = catalog.create_entry(creator, name="Lantern light", kind="lora", tags=["harbour"], description="Painted by hand.")
    version = catalog.create_version(entry, name="v1", base_model="SDXL 1.0", trigger_words=["glowstyle"])
    FileFactory(version=version, name="dream_file.safetensors")
    catalog.publish(version)
    published(UserFactory(username="zed"), name="Unrelated")
    assert list(queries.search(queries.listed(), words)) == [entry]


@pytest.mark.parametrize(
    "words", ["zebra", "\x00", "&|!:*()", "'; drop table", "%", "_" * 300, "-" * 41, "- " * 99, "-(!|" * 50, "- -lantern -" * 9]
)
def test_odd_searches_find_nothing_and_break_nothing(creator: Any, words: str) -> None:
    published(creator)
    assert len(queries.search(queries.listed(), words)) in {0, 1}


def test_a_hash_finds_its_entry_in_any_spelling(creator: Any) -> None:
    version = published(creator)
    blob = version.files.get().blob
    BlobHash.objects.create(blob=blob, kind="SHA256", value="AB12CD34" * 8)
    BlobHash.objects.create(blob=blob, kind="AutoV3", value="0123456789AB")
    for text in ("ab12cd34" * 8, "0xAB12CD34AB", "0123456789ab", "AB12CD34"):
        assert list(queries.search(queries.listed(), text)) == [version.entry], text
    assert not queries.blobs_by_hash("AB12CD3").exists()
    assert not queries.blobs_by_hash("E3B0C44298FC").exists()


def test_cards_cost_the_same_queries_for_any_number(creator: Any, django_assert_max_num_queries: Any) -> None:
    for number in range(12):
        published(creator, name=f"Model {number}", tags=["a", "b"])
    with django_assert_max_num_queries(6):
        for entry in queries.with_cards(queries.listed()):
            for version in entry.shown_versions:
                [file.blob.hash_values() for file in version.files.all()]
            list(entry.tags.all())


def test_bytes_are_linkable_only_by_who_may_read_them(creator: Any, stranger: Any, stores: Any) -> None:
    version = VersionFactory(entry__owner=creator, entry__visibility="private")
    file = FileFactory(version=version, blob__sha256="cd" * 32, blob__size_bytes=3)
    storage.path_of("models", storage.blob_name("cd" * 32)).write_bytes(b"abc")
    assert queries.readable_blob(creator, "cd" * 32) == file.blob
    assert queries.readable_blob(stranger, "cd" * 32) is None
    version.entry.visibility = "public"
    version.entry.save()
    catalog.publish(version)
    assert queries.readable_blob(stranger, "cd" * 32) == file.blob
