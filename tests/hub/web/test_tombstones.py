"""What is left of a version that is gone: reason, hashes and sidecars, and where to go instead."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from registry import catalog
from registry.models import BlobHash, Entry, File, User, Version
from tests.factories import FileFactory
from tests.hub.published import published_entry, published_file, published_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def gone(creator: User) -> File:
    file = published_file(creator, b"weights", version=published_version(published_entry(creator, name="Lantern"), trigger_words=["glow"]))
    catalog.withdraw(file.version, "a <b>mistake</b>")
    return file


def text_of(client: Client, version: Version) -> str:
    response = client.get(f"/model-versions/{version.pk}", follow=True)
    assert response.status_code == 200
    return response.content.decode()


def words(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", text).split()))


def test_it_says_why_and_keeps_hashes_words_and_sidecars(client: Client, gone: File) -> None:
    text = text_of(client, gone.version)
    assert "Withdrawn by its creator on" in words(text)
    assert "Reason given: a <b>mistake</b>" in words(text)
    assert gone.sha256.upper() in text
    assert f'data-copy="{gone.sha256.upper()}"' in text
    assert f'href="/model-versions/{gone.version_id}/sidecars.zip"' in text
    assert "Listed by the creator glow" in words(text)
    assert "/api/download/" not in text
    assert client.get(f"/model-versions/{gone.version_id}/sidecars.zip").status_code == 200
    assert "What to take instead" not in text


def test_the_newest_published_version_of_the_same_model_comes_next(client: Client, gone: File) -> None:
    published_version(gone.version.entry, name="v2", position=5)
    newest = published_version(gone.version.entry, name="v3", position=1)
    published_version(gone.version.entry, name="next", status="draft", position=0)
    assert "What to take instead Lantern v3 is the newest version" in words(text_of(client, gone.version))
    assert f"/v/{newest.pk}" in text_of(client, gone.version)


def test_the_same_weights_elsewhere_are_offered_but_nothing_hidden(client: Client, gone: File, stranger: User) -> None:
    BlobHash.objects.update_or_create(blob=gone.blob, kind="TENSORS", defaults={"value": "F" * 64})
    for name, entry in (
        ("Twin", {}),
        ("Secret", {"visibility": "private"}),
        ("Unlisted", {"visibility": "unlisted"}),
        ("Loud", {"rating": 16}),
    ):
        file = FileFactory(version=published_version(published_entry(stranger, name=name, **entry)))
        BlobHash.objects.create(blob=file.blob, kind="TENSORS", value="F" * 64)
    text = words(text_of(client, gone.version))
    assert "The same weights are offered here, too: Twin v1" in text
    for hidden in ("Secret", "Unlisted", "Loud"):
        assert hidden not in text


def test_a_deleted_model_offers_no_version_of_its_own(client: Client, creator: User) -> None:
    file = published_file(creator, b"other")
    published_version(file.version.entry, name="v2")
    catalog.delete_entry(Entry.objects.get(pk=file.version.entry_id), "asked for")
    text = text_of(client, file.version)
    assert "Deleted by its creator on" in words(text)
    assert "What to take instead" not in text


def test_a_tombstone_costs_no_query_a_file(client: Client, gone: File, django_assert_max_num_queries: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    address = f"/{gone.version.entry.owner.username}/{gone.version.entry.slug}/v/{gone.version_id}"
    client.get(address)
    with CaptureQueriesContext(connection) as one:
        client.get(address)
    for number in range(5):
        published_file(gone.version.entry.owner, bytes([number]) * 9, f"more{number}.safetensors", version=gone.version)
    with django_assert_max_num_queries(len(one)):
        client.get(address)
