"""Who reads what through this protocol: every kind of caller against every condition of an entry, on every reading route."""

from __future__ import annotations

from typing import Any

import pytest

from registry import catalog
from registry.models import Blob, File, Token, User, Version
from tests.factories import EntryFactory, VersionFactory
from tests.hub.api.huggingface.conftest import Call, weights
from tests.hub.published import published_entry, published_file, published_version

PEOPLE = ("anonymous", "other", "owner", "moderator")
CONDITIONS = ("public", "unlisted", "private", "draft", "withdrawn", "deleted")
ROUTES = {
    "info": "/api/models/{repo}",
    "revision": "/api/models/{repo}/revision/v1",
    "tree": "/api/models/{repo}/tree/main",
    "paths": "/api/models/{repo}/paths-info/main",
    "refs": "/api/models/{repo}/refs",
    "commits": "/api/models/{repo}/commits/main",
    "auth": "/api/models/{repo}/auth-check",
    "file": "/{repo}/resolve/main/lantern.safetensors",
    "text": "/{repo}/resolve/main/README.md",
}
MORE_ROUTES = (
    "/api/models/{repo}/auth-check/write",
    "/api/models/{repo}/safetensors-metadata/model.safetensors.index.json",
    "/api/models/{repo}/xet-write-token/main",
    "/api/models/{repo}/xet-read-token/main",
    "/api/models/{repo}/compare/main..v1",
    "/api/models/{repo}/discussions",
    "/{repo}/resolve/v1/missing.bin",
    "/{repo}/raw/main/README.md",
    "/{repo}/blob/main/README.md",
)
SERVED, HIDDEN = dict.fromkeys(ROUTES, 200), dict.fromkeys(ROUTES, 404)
WITHOUT_REVISIONS = {**HIDDEN, "info": 200, "refs": 200, "auth": 200}


def condition(owner: User, name: str) -> File:
    if name == "draft":
        version: Version = VersionFactory(entry=EntryFactory(owner=owner, slug="lantern"))
    else:
        visibility = name if name in {"unlisted", "private"} else "public"
        version = published_version(published_entry(owner, slug="lantern", visibility=visibility))
    file = published_file(owner, weights(), version=version)
    if name == "withdrawn":
        catalog.withdraw(version, "made by mistake")
    if name == "deleted":
        catalog.delete_entry(version.entry, "asked by its creator")
    return file


def expected(name: str, person: str) -> dict[str, int]:
    edits = person in {"owner", "moderator"}
    if name == "deleted" or (name in {"private", "draft"} and not edits):
        return dict.fromkeys(ROUTES, 401 if person == "anonymous" else 404)
    return WITHOUT_REVISIONS if name == "withdrawn" else SERVED


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_matrix(name: str, people: dict[str, Call], creator: User) -> None:
    condition(creator, name)
    seen = {
        person: {
            route: call(path.format(repo="ada/lantern"), method="post" if route == "paths" else "get").status_code
            for route, path in ROUTES.items()
        }
        for person, call in people.items()
    }
    assert seen == {person: expected(name, person) for person in PEOPLE}


@pytest.mark.parametrize("name", ["private", "deleted"])
def test_what_is_hidden_looks_like_what_does_not_exist(name: str, people: dict[str, Call], creator: User) -> None:
    condition(creator, name)
    for person in ("anonymous", "other"):
        for path in (*ROUTES.values(), *MORE_ROUTES):
            method = "post" if "paths-info" in path else "get"
            one, two = (people[person](path.format(repo=repo), method=method) for repo in ("ada/lantern", "ada/missing"))
            assert one.status_code == two.status_code
            assert one.content.replace(b"lantern", b"N") == two.content.replace(b"missing", b"N"), path
            told = [dict(answer.headers) for answer in (one, two)]
            for headers in told:
                headers.pop("X-Request-Id")
                headers["Location"] = headers.get("Location", "").rpartition("/")[0]
            assert told[0] == told[1]


def test_only_what_is_listed_is_found_and_ones_own(people: dict[str, Call], creator: User) -> None:
    for visibility in ("public", "unlisted", "private"):
        published_version(published_entry(creator, slug=visibility, visibility=visibility))
    assert [row["id"] for row in people["anonymous"]("/api/models").json()] == ["ada/public"]
    assert [row["id"] for row in people["owner"]("/api/models").json()] == ["ada/public"]
    assert {row["id"] for row in people["owner"]("/api/models", {"author": "ada"}).json()} == {"ada/public", "ada/unlisted", "ada/private"}
    assert [row["id"] for row in people["other"]("/api/models", {"author": "ada"}).json()] == ["ada/public"]


def test_drafts_are_branches_of_their_creator(people: dict[str, Call], creator: User, version: Version) -> None:
    draft = VersionFactory(entry=version.entry, name="v2")
    published_file(creator, weights(2.0), "new.safetensors", version=draft)
    for revision in ("v2", str(draft.pk), "refs/heads/v2", "refs%2Fheads%2Fv2"):
        path = f"/api/models/ada/lantern/revision/{revision}"
        assert people["owner"](path).status_code == 200
        refused = people["other"](path)
        assert (refused.status_code, refused["X-Error-Code"]) == (404, "RevisionNotFound")
    sha = people["owner"]("/api/models/ada/lantern/revision/v2").json()["sha"]
    assert people["other"](f"/ada/lantern/resolve/{sha}/new.safetensors").status_code == 404
    names = [[ref["name"] for ref in people[who]("/api/models/ada/lantern/refs").json()["branches"]] for who in ("owner", "other")]
    assert [sorted(found) for found in names] == [["main", "v1", "v2"], ["main", "v1"]]


@pytest.mark.parametrize("header", ["Bearer wh_unknown", "wh_unknown", "Basic Zm9vOmJhcg==", "Basic ?"])
def test_tokens_that_are_not_alive_are_refused(call: Call, file: File, header: str) -> None:
    answer = call("/api/models/ada/lantern", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer["X-Error-Message"] == "Invalid credentials in Authorization header"
    assert "X-Error-Code" not in answer.headers


def test_write_access_is_the_owners(people: dict[str, Call], file: File) -> None:
    answers = {person: call("/api/models/ada/lantern/auth-check/write").status_code for person, call in people.items()}
    assert answers == {"anonymous": 401, "other": 403, "owner": 200, "moderator": 200}


def test_who_am_i(people: dict[str, Call], creator: User) -> None:
    told = people["owner"]("/api/whoami-v2").json()
    assert told["name"] == "ada"
    assert told["orgs"] == []
    assert told["auth"]["accessToken"]["role"] == "read"
    assert people["anonymous"]("/api/whoami-v2").status_code == 401


def test_a_session_reads_what_its_user_may(client: Any, creator: User) -> None:
    condition(creator, "private")
    client.force_login(creator, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/api/models/ada/lantern").status_code == 200
    assert client.get("/api/whoami-v2").status_code == 401


def test_a_sealed_file_is_withheld_from_everybody_with_the_reason(people: dict[str, Call], file: File) -> None:
    sha = people["other"]("/api/models/ada/lantern").json()["sha"]
    Blob.objects.filter(pk=file.blob_id).update(sealed=True, verdict="danger")
    File.objects.filter(pk=file.pk).update(state="quarantined")
    for person, call in people.items():
        for revision in ("main", sha):
            answer = call(f"/ada/lantern/resolve/{revision}/lantern.safetensors", method="head")
            assert (answer.status_code, answer["X-Error-Code"]) == (403, "GatedRepo"), person
            assert "Danger" in answer["X-Error-Message"]
        assert "lantern.safetensors" not in str(call("/api/models/ada/lantern").json()["siblings"])
        assert "lantern.safetensors" in str(call(f"/api/models/ada/lantern/revision/{sha}").json()["siblings"])


def test_a_file_in_work_is_its_creators_business(people: dict[str, Call], file: File, creator: User) -> None:
    published_file(creator, weights(3.0), "next.safetensors", version=file.version, state="scanning")
    path = "/ada/lantern/resolve/main/next.safetensors"
    mine = people["owner"](path)
    assert (mine.status_code, mine["Retry-After"]) == (503, "5")
    assert "scan pending" in mine["X-Error-Message"]
    other = people["other"](path)
    assert (other.status_code, other["X-Error-Code"]) == (404, "EntryNotFound")
    assert other["X-Repo-Commit"] == people["other"]("/api/models/ada/lantern").json()["sha"]


def test_a_revoked_token_is_nobodys(call: Call, file: File, creator: User) -> None:
    token, secret = Token.issue(creator, "old")
    Token.objects.filter(pk=token.pk).update(revoked_at=token.created_at)
    assert call("/api/models/ada/lantern", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
