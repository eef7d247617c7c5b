"""Versions through the API: drafts, publishing, withdrawing, and who sees what of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from registry import catalog, schedule
from registry.models import Version
from tests.factories import EntryFactory, FileFactory, VersionFactory

Json = dict[str, Any]
EVERYTHING = {
    "name": "v2 – night",
    "base_model": "SD 1.5",
    "description": "Less *fog*.",
    "trigger_words": ["paper lantern", "夜"],
    "weight": 0.8,
    "clip_skip": 2,
    "sampler": "DPM++ 2M Karras",
    "steps": 28,
    "cfg_scale": 6.5,
    "negative_prompt": "blurry",
    "vae": "vae-ft-mse-840000",
}


def ready(creator: Any, **entry: Any) -> Version:
    version = VersionFactory(entry=EntryFactory(owner=creator, **entry))
    FileFactory(version=version)
    return version


def test_a_version_keeps_its_recommended_settings(api: APIClient, entry: Json) -> None:
    made = api.post(f"/api/hub/entries/{entry['id']}/versions", EVERYTHING)
    assert made.status_code == 201
    assert {name: made.json()[name] for name in EVERYTHING} == EVERYTHING
    assert (made.json()["state"], made.json()["entry_id"], made.json()["files"]) == ("draft", entry["id"], [])


def test_the_newest_version_comes_first(api: APIClient, entry: Json, version: Json) -> None:
    api.post(f"/api/hub/entries/{entry['id']}/versions", EVERYTHING)
    names = [one["name"] for one in api.get(f"/api/hub/entries/{entry['id']}").json()["versions"]]
    assert names == ["v2 – night", "v1"]


@pytest.mark.parametrize(
    "wrong",
    [
        '{"weight": "nan"}',
        '{"weight": 1e999}',
        '{"cfg_scale": "Infinity"}',
        '{"clip_skip": 2.5}',
        '{"clip_skip": 99}',
        '{"steps": 0}',
        '{"trigger_words": ["a\\nb"]}',
        '{"trigger_words": {"a": 1}}',
        '{"base_model": ""}',
        '{"base_model": null}',
        '{"position": 0}',
        '{"published_at": "2020-01-01T00:00:00Z"}',
        '{"status": "published"}',
        '{"reason": "just so"}',
        '{"entry": 1}',
    ],
)
def test_a_wrong_change_is_named_and_nothing_changes(api: APIClient, version: Json, wrong: str) -> None:
    answer = api.patch(f"/api/hub/versions/{version['id']}", wrong, content_type="application/json")
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == list(json.loads(wrong))
    assert api.get(f"/api/hub/versions/{version['id']}").json() == version


def test_a_setting_can_be_taken_back(api: APIClient, version: Json) -> None:
    api.patch(f"/api/hub/versions/{version['id']}", {"clip_skip": 2, "sampler": "Euler a"})
    answer = api.patch(f"/api/hub/versions/{version['id']}", {"clip_skip": None, "sampler": ""})
    assert answer.json() == version


def test_nothing_is_published_without_a_ready_file(api: APIClient, version: Json) -> None:
    answer = api.post(f"/api/hub/versions/{version['id']}/publish")
    assert (answer.status_code, answer.json()["code"]) == (409, "publish:not-ready")
    FileFactory(version_id=version["id"], state="scanning", blob=None)
    assert "still being examined" in api.post(f"/api/hub/versions/{version['id']}/publish").json()["error"]


def test_a_published_version_can_be_read_and_downloaded_by_all(api: APIClient, anonymous: APIClient, creator: Any) -> None:
    version = ready(creator)
    address = f"/api/hub/versions/{version.pk}"
    assert anonymous.get(address).status_code == 404
    assert api.post(f"{address}/publish").status_code == 200
    seen = anonymous.get(address).json()
    file = version.files.get()
    assert seen["state"] == "published"
    assert seen["files"][0]["download_url"] == f"http://testserver/api/download/models/{version.pk}?fileId={file.pk}"
    assert seen["files"][0]["sha256"] == file.sha256


@pytest.mark.parametrize("method", ["patch", "delete", "publish"])
def test_a_stranger_changes_nothing(other: APIClient, creator: Any, method: str) -> None:
    version = catalog.publish(ready(creator))
    address = f"/api/hub/versions/{version.pk}"
    answer = other.post(f"{address}/publish") if method == "publish" else getattr(other, method)(address, {})
    assert (answer.status_code, answer.json()["code"]) == (403, "not-yours")


def test_a_draft_of_a_public_entry_is_like_a_missing_one(other: APIClient, anonymous: APIClient, creator: Any) -> None:
    public = catalog.publish(ready(creator))
    draft = VersionFactory(entry=public.entry, name="secret plans")
    for client in (other, anonymous):
        secret, missing = client.get(f"/api/hub/versions/{draft.pk}"), client.get("/api/hub/versions/999999999")
        assert (secret.status_code, secret.content) == (404, missing.content)
        assert "secret plans" not in client.get(f"/api/hub/entries/{public.entry_id}").content.decode()
    assert other.post(f"/api/hub/versions/{draft.pk}/publish").status_code == 404


def test_a_withdrawn_version_keeps_its_hashes_and_says_why(api: APIClient, anonymous: APIClient, creator: Any) -> None:
    version = catalog.publish(ready(creator))
    answer = api.patch(f"/api/hub/versions/{version.pk}", {"status": "withdrawn", "reason": "Trained on the wrong set."})
    assert answer.status_code == 200
    tomb = anonymous.get(f"/api/hub/versions/{version.pk}").json()
    assert (tomb["state"], tomb["reason"], tomb["name"]) == ("withdrawn", "Trained on the wrong set.", version.name)
    assert tomb["files"][0]["sha256"] == version.files.get().sha256
    assert tomb["files"][0]["download_url"] is None
    assert anonymous.get(f"/api/hub/entries/{version.entry_id}").json()["state"] == "withdrawn"
    assert anonymous.get(f"/api/hub/files/{version.files.get().pk}").json()["download_url"] is None
    refused = api.post(f"/api/hub/versions/{version.pk}/uploads", {"file_name": "b.ckpt", "size_bytes": 10})
    assert (refused.status_code, refused.json()["code"]) == (409, "upload:withdrawn")


def test_a_deleted_version_leaves_a_tombstone_if_it_was_published(api: APIClient, anonymous: APIClient, creator: Any) -> None:
    published, draft = catalog.publish(ready(creator)), ready(creator)
    for version in (published, draft):
        assert api.delete(f"/api/hub/versions/{version.pk}?reason=Gone").status_code == 204
    tomb = anonymous.get(f"/api/hub/versions/{published.pk}").json()
    assert (tomb["state"], tomb["reason"], tomb["files"][0]["download_url"]) == ("deleted", "Gone", None)
    assert api.get(f"/api/hub/versions/{draft.pk}").status_code == 404
    for answer in (api.patch(f"/api/hub/versions/{published.pk}", {"name": "x"}), api.post(f"/api/hub/versions/{published.pk}/publish")):
        assert (answer.status_code, answer.json()["code"]) == (410, "gone")


def test_a_draft_is_published_at_a_moment(api: APIClient, creator: Any, other: APIClient) -> None:
    version = ready(creator)
    address, at = f"/api/hub/versions/{version.pk}", (timezone.now() + timedelta(hours=1)).replace(microsecond=0)
    asked = api.patch(address, {"publish_at": at.isoformat(), "name": "dawn"})
    assert (asked.status_code, asked.json()["name"], asked.json()["state"]) == (200, "dawn", "draft")
    assert datetime.fromisoformat(asked.json()["publish_at"]) == at
    assert other.patch(address, {"publish_at": None}).status_code == 404
    assert api.patch(address, {"publish_at": None}).json()["publish_at"] is None
    api.patch(address, {"publish_at": at.isoformat()})
    Version.objects.update(publish_at=timezone.now())
    assert schedule.publish_due() == 1
    over = api.patch(address, {"publish_at": at.isoformat()})
    assert (over.status_code, over.json()["code"]) == (400, "schedule:no-draft")


@pytest.mark.parametrize(("at", "status"), [("2020-01-01T00:00:00Z", 400), ("2999-01-01T00:00:00Z", 400), ("soon", 400), (7, 400)])
def test_moments_that_cannot_be_are_refused(api: APIClient, version: Json, at: Any, status: int) -> None:
    answer = api.patch(f"/api/hub/versions/{version['id']}", {"publish_at": at, "name": "never"})
    assert answer.status_code == status
    assert Version.objects.get().name == "v1"
