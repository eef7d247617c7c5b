"""Who sees what: every kind of caller against every condition of an entry, on every route."""

from __future__ import annotations

from typing import Any

import pytest

from registry.models import DownloadCount, Token, User
from tests.factories import VersionFactory
from tests.hub.api.civitai.conftest import Get, condition
from tests.hub.published import published_file

PEOPLE = ("anonymous", "other", "owner", "moderator")
ROUTES = ("listed", "model", "version", "hash", "download")
SERVED, TOMB, SEALED, MISSING = (200, 200, 200, 307), (200, 200, 200, 410), (200, 200, 200, 403), (404, 404, 404, 404)
DRAFT = (200, 200, 404, 307)
MATRIX = {
    "public": dict.fromkeys(PEOPLE, (True, *SERVED)),
    "unlisted": dict.fromkeys(PEOPLE, (False, *SERVED)),
    "private": {person: (False, *(SERVED if person in {"owner", "moderator"} else MISSING)) for person in PEOPLE},
    "draft": {person: (False, *(DRAFT if person in {"owner", "moderator"} else MISSING)) for person in PEOPLE},
    "withdrawn": dict.fromkeys(PEOPLE, (False, *TOMB)),
    "deleted": dict.fromkeys(PEOPLE, (False, *TOMB)),
    "private-withdrawn": {person: (False, *(TOMB if person in {"owner", "moderator"} else MISSING)) for person in PEOPLE},
    "quarantined": dict.fromkeys(PEOPLE, (False, *SEALED)),
}


@pytest.mark.parametrize("state", MATRIX)
def test_the_matrix(state: str, people: dict[str, Get], creator: User) -> None:
    file = condition(creator, state, b"weights")
    seen = {}
    for person, get in people.items():
        ids = [item["id"] for item in get("/api/v1/models", {"nsfw": "true"}).json()["items"]]
        seen[person] = (
            file.version.entry_id in ids,
            get(f"/api/v1/models/{file.version.entry_id}").status_code,
            get(f"/api/v1/model-versions/{file.version_id}").status_code,
            get(f"/api/v1/model-versions/by-hash/{file.sha256}").status_code,
            get(f"/api/download/models/{file.version_id}", {"fileId": file.pk}).status_code,
        )
    assert seen == MATRIX[state]


@pytest.mark.parametrize("state", ["private", "draft", "private-withdrawn"])
def test_what_is_hidden_looks_like_what_does_not_exist(state: str, people: dict[str, Get], creator: User) -> None:
    file = condition(creator, state, b"weights")
    pairs = {
        f"/api/v1/models/{file.version.entry_id}": "/api/v1/models/999999",
        f"/api/v1/model-versions/{file.version_id}": "/api/v1/model-versions/999999",
        f"/api/v1/model-versions/by-hash/{file.sha256}": f"/api/v1/model-versions/by-hash/{'ab' * 32}",
        f"/api/download/models/{file.version_id}": "/api/download/models/999999",
    }
    for hidden, missing in pairs.items():
        for person in ("anonymous", "other"):
            one, two = people[person](hidden), people[person](missing)
            assert one.status_code == two.status_code == 404
            assert one.content.replace(str(file.version.entry_id).encode(), b"N") == two.content.replace(b"999999", b"N")
            assert set(one.headers) == set(two.headers)


@pytest.mark.parametrize("state", ["withdrawn", "deleted", "quarantined"])
def test_what_is_gone_keeps_its_hashes_and_loses_every_address(state: str, get: Get, creator: User) -> None:
    file = condition(creator, state, b"weights")
    body = get(f"/api/v1/model-versions/by-hash/{file.sha256}").json()
    assert "downloadUrl" not in str(body)
    assert body["files"] == []
    assert body["heldFiles"][0]["hashes"]["SHA256"] == file.sha256.upper()
    assert body["name"] == "v1"
    model = get(f"/api/v1/models/{file.version.entry_id}").json()
    assert "downloadUrl" not in str(model)
    assert model["modelVersions"][0]["files"] == []
    assert model.get("mode") == {"withdrawn": "Archived", "deleted": "TakenDown", "quarantined": None}[state]


def test_drafts_beside_published_versions_are_the_creators(people: dict[str, Get], creator: User) -> None:
    file = condition(creator, "public", b"weights")
    draft = VersionFactory(entry=file.version.entry, name="v2 in the making")
    published_file(creator, b"not yet", version=draft)
    for person, names in {"anonymous": ["v1"], "other": ["v1"], "owner": ["v1", "v2 in the making"]}.items():
        body = people[person](f"/api/v1/models/{file.version.entry_id}").json()
        assert [version["name"] for version in body["modelVersions"]] == names
        assert people[person](f"/api/v1/model-versions/{draft.pk}").status_code == (200 if person == "owner" else 404)


def test_a_change_of_mind_counts_at_once(get: Get, creator: User) -> None:
    file = condition(creator, "public", b"weights")
    entry = file.version.entry
    for visibility, status in (("private", 404), ("unlisted", 200)):
        entry.visibility = visibility
        entry.save()
        assert get(f"/api/v1/models/{entry.pk}").status_code == status
        assert get(f"/api/v1/model-versions/by-hash/{file.sha256}").status_code == status


# --- who asks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["Bearer None", "Bearer wh_unknown", "Bearer ", "nonsense", "Basic abc", "Bearer \xff\x80"])
def test_a_token_that_is_none_is_nobody_and_no_error(given: str, client: Any, creator: User) -> None:
    file = condition(creator, "public", b"weights")
    headers = {"authorization": given}
    assert client.get(f"/api/v1/models/{file.version.entry_id}", headers=headers).status_code == 200
    assert client.get(f"/api/download/models/{file.version_id}", headers=headers).status_code == 307


def test_a_token_may_come_in_the_query_and_is_not_repeated(client: Any, creator: User) -> None:
    file = condition(creator, "private", b"weights")
    condition(creator, "public", b"one")
    condition(creator, "public", b"two")
    secret = Token.issue(creator, "tests")[1]
    assert client.get(f"/api/v1/models/{file.version.entry_id}", {"token": secret}).status_code == 200
    assert client.get(f"/api/v1/models/{file.version.entry_id}", headers={"authorization": f"token {secret}"}).status_code == 200
    location = client.get(f"/api/download/models/{file.version_id}", {"token": secret})["Location"]
    page = client.get("/api/v1/models", {"token": secret, "limit": 1}).json()
    assert secret not in location
    assert "token" not in page["metadata"]["nextPage"]


def test_a_revoked_token_is_nobody(client: Any, creator: User) -> None:
    from django.utils import timezone

    file = condition(creator, "private", b"weights")
    token, secret = Token.issue(creator, "tests")
    headers = {"authorization": f"Bearer {secret}"}
    assert client.get(f"/api/v1/models/{file.version.entry_id}", headers=headers).status_code == 200
    Token.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
    assert client.get(f"/api/v1/models/{file.version.entry_id}", headers=headers).status_code == 404


def test_a_signed_in_creator_downloads_from_the_page(client: Any, creator: User) -> None:
    file = condition(creator, "private", b"weights")
    client.force_login(creator)
    assert client.get(f"/api/download/models/{file.version_id}").status_code == 307


def test_private_answers_are_not_cached(people: dict[str, Get], creator: User) -> None:
    file = condition(creator, "public", b"weights")
    for person, wanted in (("anonymous", "public, max-age=0, must-revalidate"), ("owner", "private, no-store")):
        response = people[person](f"/api/v1/models/{file.version.entry_id}")
        assert response["Cache-Control"] == wanted
        assert "Authorization" in response["Vary"]


# --- counting ---------------------------------------------------------------------------------------------------------------


def test_a_download_is_counted_once_by_its_get(get: Get, people: dict[str, Get], creator: User, client: Any) -> None:
    file = condition(creator, "public", b"weights")
    address = f"/api/download/models/{file.version_id}"
    assert get(address, method="head").status_code == 307
    assert client.get(address, headers={"range": "bytes=1000-"}).status_code == 307
    assert not DownloadCount.objects.exists()
    location = get(address)["Location"]
    get(location.removeprefix("http://testserver"))
    assert list(DownloadCount.objects.values_list("version_id", "file_id")) == [(file.version_id, file.pk)]


def test_a_creators_look_at_the_draft_is_not_counted(people: dict[str, Get], creator: User) -> None:
    file = condition(creator, "draft", b"weights")
    assert people["owner"](f"/api/download/models/{file.version_id}").status_code == 307
    assert not DownloadCount.objects.exists()
