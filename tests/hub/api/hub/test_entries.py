"""Entries through the API: what may be written, by whom, and what is left when they are gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry import catalog
from registry.models import Entry, Version
from tests.factories import EntryFactory, FileFactory, VersionFactory

EVERYTHING = {
    "name": "Paper Lanterns 🏮",
    "kind": "lora",
    "description": "Warm *light*.",
    "tags": ["Night", "lantern  light", "night"],
    "visibility": "unlisted",
    "rating": 4,
    "allow_no_credit": False,
    "allow_commercial_use": ["Image", "Rent", "Image"],
    "allow_derivatives": False,
    "allow_different_license": False,
    "spdx": "CreativeML-OpenRAIL-M",
}


def published(creator: Any, **fields: Any) -> Version:
    version = VersionFactory(entry=EntryFactory(owner=creator, **fields))
    FileFactory(version=version)
    return catalog.publish(version)


def test_an_entry_is_created_with_all_its_fields(api: APIClient) -> None:
    answer = api.post("/api/hub/entries", EVERYTHING)
    assert answer.status_code == 201
    made = answer.json()
    assert made["slug"] == "paper-lanterns"
    assert made["owner"] == "ada"
    assert made["state"] == "draft"
    assert sorted(made["tags"]) == ["lantern light", "night"]
    assert made["allow_commercial_use"] == ["Image", "Rent"]
    for name in ("name", "kind", "description", "visibility", "rating", "allow_no_credit", "allow_derivatives", "spdx"):
        assert made[name] == EVERYTHING[name]
    assert api.get(f"/api/hub/entries/{made['id']}").json() == made


def test_two_entries_of_one_name_get_two_slugs(api: APIClient) -> None:
    slugs = [api.post("/api/hub/entries", {"name": "Same", "kind": "vae"}).json()["slug"] for _ in range(2)]
    assert slugs == ["same", "same-2"]


@pytest.mark.parametrize("field", ["id", "slug", "owner", "owner_id", "live", "published_at", "deleted_at", "versions", "x"])
def test_fields_that_are_not_the_clients_are_refused_and_never_written(api: APIClient, entry: dict[str, Any], field: str) -> None:
    answer = api.patch(f"/api/hub/entries/{entry['id']}", {field: 1, "name": "New name"})
    assert answer.status_code == 400
    assert "no such field" in answer.json()["fields"][field][0]
    assert api.get(f"/api/hub/entries/{entry['id']}").json() == entry


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 121},
        {"name": "two\r\nlines"},
        {"name": "nul\x00"},
        {"name": "half \ud800"},
        {"kind": "spaceship"},
        {"rating": 3},
        {"visibility": "everyone"},
        {"tags": "night"},
        {"tags": ["x" * 61]},
        {"tags": [str(n) for n in range(31)]},
        {"allow_commercial_use": ["Everything"]},
        {"description": "x" * 100_001},
        {"name": {"$ne": ""}},
        {"allow_derivatives": "perhaps"},
    ],
)
def test_a_wrong_field_is_named_with_a_sentence(api: APIClient, wrong: dict[str, Any]) -> None:
    body = json.dumps({"name": "Fine", "kind": "lora", **wrong})
    answer = api.post("/api/hub/entries", body, content_type="application/json")
    assert answer.status_code == 400
    body = answer.json()
    assert set(body["fields"]) == set(wrong)
    assert body["error"].startswith(next(iter(wrong)))
    assert not Entry.objects.exists()


def test_only_what_is_sent_changes(api: APIClient, entry: dict[str, Any]) -> None:
    answer = api.patch(f"/api/hub/entries/{entry['id']}", {"rating": 2, "tags": ["night"]})
    assert answer.status_code == 200
    assert answer.json() == {**entry, "rating": 2, "tags": ["night"], "updated_at": answer.json()["updated_at"]}


def test_a_stranger_reads_what_is_public_and_changes_nothing(other: APIClient, anonymous: APIClient, creator: Any) -> None:
    pk = published(creator).entry_id
    assert other.get(f"/api/hub/entries/{pk}").status_code == 200
    assert anonymous.get(f"/api/hub/entries/{pk}").status_code == 200
    for answer in (other.patch(f"/api/hub/entries/{pk}", {"name": "Mine"}), other.delete(f"/api/hub/entries/{pk}")):
        assert answer.status_code == 403
        assert answer.json()["code"] == "not-yours"
    assert Entry.objects.get(pk=pk).gone is False


def test_a_moderator_may_change_any_entry(judge: APIClient, creator: Any) -> None:
    pk = published(creator).entry_id
    assert judge.patch(f"/api/hub/entries/{pk}", {"rating": 16}).status_code == 200
    assert Entry.objects.get(pk=pk).rating == 16


@pytest.mark.parametrize("hidden", ["private", "draft"])
def test_what_is_private_answers_exactly_like_what_is_missing(other: APIClient, anonymous: APIClient, creator: Any, hidden: str) -> None:
    entry = published(creator, visibility="private").entry if hidden == "private" else EntryFactory(owner=creator)
    for client in (other, anonymous):
        for method in ("get", "patch", "delete"):
            secret = getattr(client, method)(f"/api/hub/entries/{entry.pk}")
            missing = getattr(client, method)("/api/hub/entries/999999999")
            assert (secret.status_code, secret.content) == (missing.status_code, missing.content)
            assert secret.status_code == (401 if client is anonymous and method != "get" else 404)


def test_a_deleted_entry_leaves_names_and_hashes_but_no_download(api: APIClient, anonymous: APIClient, creator: Any) -> None:
    version = published(creator, name="Lost and found")
    assert anonymous.get(f"/api/hub/entries/{version.entry_id}").json()["versions"][0]["files"][0]["download_url"]
    assert api.delete(f"/api/hub/entries/{version.entry_id}?reason=Taken%20down").status_code == 204
    tomb = anonymous.get(f"/api/hub/entries/{version.entry_id}").json()
    assert (tomb["name"], tomb["state"], tomb["reason"]) == ("Lost and found", "deleted", "Taken down")
    file = tomb["versions"][0]["files"][0]
    assert tomb["versions"][0]["state"] == "deleted"
    assert file["sha256"]
    assert file["download_url"] is None
    assert api.patch(f"/api/hub/entries/{version.entry_id}", {"name": "Back"}).status_code == 410


def test_a_deleted_draft_leaves_nothing(api: APIClient, entry: dict[str, Any]) -> None:
    assert api.delete(f"/api/hub/entries/{entry['id']}").status_code == 204
    assert api.get(f"/api/hub/entries/{entry['id']}").status_code == 404
    assert not Entry.objects.exists()


@pytest.mark.parametrize("pk", ["0", "99999999999999999999999", "x", "-1", "1/versions/2"])
def test_odd_numbers_are_a_plain_404_in_json(api: APIClient, pk: str) -> None:
    answer = api.get(f"/api/hub/entries/{pk}")
    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'"x"', b"", b"[" * 200_000, b"\xff\xfe", b'{"name": NaN, "kind": "lora"}', b"9" * 9_000],
)
def test_a_body_that_is_no_object_is_a_sentence(api: APIClient, body: bytes) -> None:
    answer = api.post("/api/hub/entries", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_body_beyond_the_limit_is_refused_unread(api: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = api.post("/api/hub/entries", {"name": "x", "kind": "lora", "description": "y" * 2000})
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"


def test_another_method_or_content_type_is_a_sentence(api: APIClient) -> None:
    assert api.put("/api/hub/entries", {}).json()["code"] == "method_not_allowed"
    form = api.post("/api/hub/entries", "name=x", content_type="application/x-www-form-urlencoded")
    assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")
