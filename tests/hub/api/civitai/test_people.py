"""Creators, tags, users and the caller: only what is listed counts, and nothing tells of what is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from registry import catalog
from registry.models import Blob, Entry, File, Token, User
from tests.factories import UserFactory, VersionFactory
from tests.hub.api.civitai.conftest import Get, condition
from tests.hub.published import published_entry, published_file, published_version

pytestmark = pytest.mark.django_db
CREATORS, TAGS, USERS, ME = "/api/v1/creators", "/api/v1/tags", "/api/v1/users", "/api/v1/me"


def listed(owner: User, data: bytes, *tags: str, **fields: Any) -> Entry:
    entry = published_entry(owner, **fields)
    published_file(owner, data, version=published_version(entry))
    catalog.set_tags(entry, list(tags))
    return entry


def hidden(owner: User) -> None:
    """One model in every condition in which browsing does not show it, each with a tag of its own."""
    for state in ("unlisted", "private", "draft", "withdrawn", "deleted", "private-withdrawn", "quarantined"):
        catalog.set_tags(condition(owner, state, state.encode()).version.entry, [f"only-{state}"])


def test_creators(get: Get, creator: User, stranger: User) -> None:
    listed(creator, b"one")
    listed(creator, b"two", rating=16)
    listed(stranger, b"three")
    assert get(CREATORS).json() == {
        "items": [
            {"username": "ada", "modelCount": 2, "link": "http://testserver/api/v1/models?username=ada"},
            {"username": "eve", "modelCount": 1, "link": "http://testserver/api/v1/models?username=eve"},
        ],
        "metadata": {"totalItems": 2, "currentPage": 1, "pageSize": 20, "totalPages": 1},
    }
    shown = get(get(CREATORS).json()["items"][0]["link"].removeprefix("http://testserver") + "&nsfw=true").json()
    assert len(shown["items"]) == 2
    assert [one["username"] for one in get(CREATORS, {"query": "EV"}).json()["items"]] == ["eve"]


def test_tags(get: Get, creator: User) -> None:
    listed(creator, b"one", "light", "paper & ink")
    listed(creator, b"two", "light")
    body = get(TAGS).json()
    assert body["items"] == [
        {"name": "light", "modelCount": 2, "link": "http://testserver/api/v1/models?tag=light"},
        {"name": "paper & ink", "modelCount": 1, "link": "http://testserver/api/v1/models?tag=paper%20%26%20ink"},
    ]
    assert len(get(body["items"][1]["link"].removeprefix("http://testserver")).json()["items"]) == 1
    assert [one["name"] for one in get(TAGS, {"query": "PAP"}).json()["items"]] == ["paper & ink"]


@pytest.mark.parametrize("person", ["anonymous", "other", "owner", "moderator"])
def test_what_is_hidden_is_not_counted_and_its_tags_do_not_exist(people: dict[str, Get], creator: User, person: str) -> None:
    before = {address: people[person](address).content for address in (CREATORS, TAGS)}
    hidden(creator)
    assert {address: people[person](address).content for address in (CREATORS, TAGS)} == before
    entry = listed(creator, b"shown", "light")
    VersionFactory(entry=entry, name="draft")
    assert people[person](CREATORS).json()["items"][0]["modelCount"] == 1
    assert [one["name"] for one in people[person](TAGS).json()["items"]] == ["light"]


def test_a_model_whose_only_file_is_sealed_counts_no_more(get: Get, creator: User) -> None:
    entry = listed(creator, b"one", "light")
    Blob.objects.update(sealed=True, verdict="danger")
    File.objects.filter(version__entry=entry).update(state="quarantined")
    for address in (CREATORS, TAGS):
        assert get(address).json()["metadata"]["totalItems"] == 0


def test_who_left_is_no_creator(get: Get, creator: User) -> None:
    listed(creator, b"one")
    User.objects.filter(pk=creator.pk).update(is_active=False)
    assert get(CREATORS).json()["items"] == []


@pytest.mark.parametrize("address", [CREATORS, TAGS])
def test_pages_by_number(get: Get, creator: User, address: str) -> None:
    for number in range(5):
        listed(UserFactory(username=f"painter{number}"), b"%d" % number, f"tag{number}")
    key = "username" if address == CREATORS else "name"
    seen, following, previous = [], address + "?limit=2&token=nobody", []
    while following:
        body = get(following.removeprefix("http://testserver")).json()
        seen += [item[key] for item in body["items"]]
        previous.append(body["metadata"].get("prevPage"))
        following = body["metadata"].get("nextPage", "")
        assert "token" not in following
        assert (body["metadata"]["totalItems"], body["metadata"]["totalPages"]) == (5, 3)
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen)
    assert previous[0] is None
    assert previous[2].endswith("limit=2&page=2")
    assert get(address, {"page": 99}).json()["items"] == []
    assert get(address, {"page": 99}).json()["metadata"]["prevPage"].endswith("page=1")


@pytest.mark.parametrize("address", [CREATORS, TAGS])
@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"page": 0}, {"page": "x"}, {"query": "a\0b"}])
def test_wrong_pages(get: Get, address: str, query: dict[str, Any]) -> None:
    response = get(address, query)
    assert (response.status_code, list(response.json())) == (400, ["error"])


def test_users(people: dict[str, Get], creator: User, stranger: User) -> None:
    listed(creator, b"one")
    condition(stranger, "private", b"two")
    shown = {"id": creator.pk, "username": "ada", "avatarNsfw": "None"}
    for query in ({"ids": f"{creator.pk},{stranger.pk},99999"}, {"query": "AD"}):
        assert people["anonymous"](USERS, query).json() == {"items": [shown]}
    assert [one["username"] for one in people["other"](USERS, {"ids": f"{creator.pk},{stranger.pk}"}).json()["items"]] == ["ada", "eve"]
    assert people["anonymous"](USERS, {"query": "ev"}).content == people["anonymous"](USERS, {"query": "zz"}).content == b'{"items":[]}'
    assert people["anonymous"](USERS).json() == {"items": []}
    assert people["anonymous"](USERS, {"ids": "x"}).status_code == 400


def test_me(people: dict[str, Get], creator: User, client: Any) -> None:
    anonymous = people["anonymous"](ME)
    assert (anonymous.status_code, anonymous.json()) == (401, {"error": "Unauthorized"})
    assert client.get(ME, headers={"authorization": "Bearer wh_unknown"}).status_code == 401
    response = people["owner"](ME)
    assert response["Cache-Control"] == "private, no-store"
    assert response.json() == {
        "id": creator.pk, "username": "ada", "tier": "free", "status": "active", "isMember": False, "subscriptions": [],
        "isModerator": False,
    }  # fmt: skip
    assert people["moderator"](ME).json()["isModerator"] is True
    assert client.get(ME, {"token": Token.issue(creator, "tests")[1]}).json()["username"] == "ada"


def test_the_number_of_queries_is_fixed(client: Any, creator: User, django_assert_num_queries: Any) -> None:
    for number in range(5):
        listed(UserFactory(), b"%d" % number, "light", f"tag{number}")
    for address in (CREATORS, TAGS):
        with django_assert_num_queries(3):
            assert len(client.get(address).json()["items"]) >= 5
    with django_assert_num_queries(1):
        client.get(USERS, {"query": "creator"})
