"""What members keep: notes, collections, follows; who sees what of it, when a follow is marked, and what lists cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry import saving
from registry.models import Collection, Entry, Follow, Note, Token, User, Version
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_file, published_version
from tests.hub.web.visitors import signed_in

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def reader() -> User:
    return UserFactory(max_rating=4)


@pytest.fixture
def version(creator: User) -> Version:
    return published_version(published_entry(creator, name="Lantern"))


def save(user: User, entry: Entry, **given: Any) -> Any:
    return signed_in(user).post(f"/models/{entry.pk}/save", given)


def test_a_note_is_read_by_nobody_else(version: Version, reader: User) -> None:
    save(reader, version.entry, do="note", text=f"0.7 is enough {HOSTILE}")
    page = f"/{version.entry.owner.username}/{version.entry.slug}"
    for address in (page, "/my/saved", f"/models/{version.entry_id}/save"):
        mine = signed_in(reader).get(address).content.decode()
        assert "0.7 is enough" in mine
        assert "<script>alert" not in mine
        for other in (version.entry.owner, UserFactory(is_moderator=True)):
            assert "0.7 is enough" not in signed_in(other).get(address).content.decode()
    save(reader, version.entry, do="note", text=" ")
    assert not Note.objects.exists()


def test_a_note_stays_mine_when_its_model_is_hidden_and_names_it_no_more(version: Version, reader: User) -> None:
    save(reader, version.entry, do="note", text="0.7 is enough")
    Entry.objects.update(visibility="private", name="Renamed in secret")
    page = signed_in(reader).get("/my/saved").content.decode()
    assert "0.7 is enough" in page
    assert "Renamed in secret" not in page
    assert save(reader, version.entry, do="note", text="more").status_code == 404


def test_collections_are_private_until_they_are_public(version: Version, reader: User) -> None:
    save(reader, version.entry, do="new", name=f"Paper {HOSTILE}")
    collection = Collection.objects.get()
    address = f"/collections/{collection.pk}"
    assert "Lantern" in signed_in(reader).get(address).content.decode()
    assert {client.get(address).status_code for client in (Client(), signed_in(UserFactory(is_moderator=True)))} == {404}
    signed_in(reader).post(f"{address}/edit", {"do": "change", "name": "Paper", "public": "1"})
    page = Client().get(address).content.decode()
    assert "Lantern" in page
    assert "Take out" not in page
    assert signed_in(UserFactory()).post(f"{address}/edit", {"do": "delete"}).status_code == 404
    signed_in(reader).post(f"{address}/edit", {"do": "remove", "entry": str(version.entry_id)})
    assert "Nothing is in it yet" in Client().get(address).content.decode()
    signed_in(reader).post(f"{address}/edit", {"do": "delete"})
    assert not Collection.objects.exists()


def test_others_see_of_a_collection_only_what_is_listed_and_within_their_limit(creator: User, reader: User) -> None:
    collection = saving.create(reader, "All", public=True)
    for name, fields in (
        ("Plain", {}),
        ("Unlisted", {"visibility": "unlisted"}),
        ("Hot", {"rating": 4}),
        ("Hidden", {"visibility": "private"}),
    ):
        saving.put(reader, published_version(published_entry(creator, name=f"{name} one", **fields)).entry, [collection.pk])  # type: ignore[arg-type]
    for client, seen in ((Client(), {"Plain"}), (signed_in(UserFactory(max_rating=16)), {"Plain", "Hot"})):
        page = client.get(f"/collections/{collection.pk}").content.decode()
        assert {name for name in ("Plain", "Unlisted", "Hot", "Hidden") if f"{name} one" in page} == seen
    mine = signed_in(reader).get(f"/collections/{collection.pk}").content.decode()
    assert {name for name in ("Plain", "Unlisted", "Hot", "Hidden") if f"{name} one" in mine} == {"Plain", "Unlisted", "Hot"}


def test_ticks_decide_in_which_of_my_collections_it_is(version: Version, reader: User) -> None:
    first, second, foreign = saving.create(reader, "A"), saving.create(reader, "B"), saving.create(UserFactory(), "C")
    save(reader, version.entry, do="collect", **{"in": [str(first.pk), str(foreign.pk), "x"]})
    assert [one.items.count() for one in (first, second, foreign)] == [1, 0, 0]
    save(reader, version.entry, do="collect", **{"in": [str(second.pk)]})
    assert [one.items.count() for one in (first, second, foreign)] == [0, 1, 0]


@pytest.mark.parametrize("name", ["", "   ", "a" * 81, "a\u202eb", "a\x00b"])
def test_a_name_that_cannot_be_shown_is_refused(version: Version, reader: User, name: str) -> None:
    save(reader, version.entry, do="new", name=name)
    signed_in(reader).post("/my/saved", {"name": name})
    assert not Collection.objects.exists()


def test_a_second_collection_of_the_same_name_is_refused(reader: User) -> None:
    for _ in range(2):
        answer = signed_in(reader).post("/my/saved", {"name": "Paper"}, follow=True)
    assert "of this name already" in answer.content.decode()
    assert Collection.objects.count() == 1


def newer(version: Version, base: str) -> Version:
    return published_version(version.entry, base_model=base, name=f"for {base}", published_at=timezone.now() + timedelta(hours=1))


def test_a_follow_is_marked_for_the_same_base_model_alone(version: Version, reader: User) -> None:
    save(reader, version.entry, do="follow", version=str(version.pk))
    newer(version, "SDXL 1.0")
    assert "New for" not in signed_in(reader).get("/my/saved").content.decode()
    second = newer(version, "SD 1.5")
    page = signed_in(reader).get("/my/saved").content.decode()
    assert "New for SD 1.5: for SD 1.5" in page
    assert f"/v/{second.pk}" in page
    save(reader, version.entry, do="unfollow")
    assert not Follow.objects.exists()


@pytest.mark.parametrize("door", ["civitai", "hugging face"])
def test_a_download_takes_the_mark_away(creator: User, reader: User, door: str) -> None:
    first = published_file(creator, b"one", name="one.safetensors").version
    save(reader, first.entry, do="follow", version=str(first.pk))
    second = published_file(creator, b"two", name="two.safetensors", version=newer(first, first.base_model)).version
    assert "New for" in signed_in(reader).get("/my/saved").content.decode()
    if door == "civitai":
        assert signed_in(reader).get(f"/api/download/models/{second.pk}").status_code == 307
    else:
        program = Client(headers={"Authorization": f"Bearer {Token.issue(reader, 'laptop')[1]}"})
        address = f"/{creator.username}/{second.entry.slug}/resolve/{second.pk}/two.safetensors"
        assert program.head(address).status_code == 200
        assert "New for" in signed_in(reader).get("/my/saved").content.decode(), "asking for the size downloads nothing"
        assert program.get(address).status_code == 200
    assert "New for" not in signed_in(reader).get("/my/saved").content.decode()


def test_creators_are_followed_but_not_oneself(version: Version, reader: User) -> None:
    save(reader, version.entry, do="follow-creator")
    assert version.entry.owner.username in signed_in(reader).get("/my/saved").content.decode()
    save(version.entry.owner, version.entry, do="follow-creator")
    assert [row.owner for row in Follow.objects.all()] == [reader]
    save(reader, version.entry, do="unfollow-creator")
    assert not Follow.objects.exists()


def test_paging_through_a_collection_meets_each_once(creator: User, reader: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.web.collections.PAGE", 2)
    collection = saving.create(reader, "All")
    for number in range(5):
        saving.put(reader, published_version(published_entry(creator, name=f"word{number}word")).entry, [collection.pk])
    address, met = f"/collections/{collection.pk}", []
    while address:
        page = signed_in(reader).get(address).content.decode()
        met += [int(piece[0]) for piece in page.split("<bdi>word")[1:]]
        address = page.partition('rel="next" href="')[2].partition('"')[0]
    assert met == [4, 3, 2, 1, 0]


def test_lists_cost_the_same_however_long_they_are(creator: User, reader: User) -> None:
    collection, costs = saving.create(reader, "All"), []
    for more in (2, 6):
        for _ in range(more):
            version = published_version(published_entry(creator))
            saving.put(reader, version.entry, [collection.pk])
            saving.note(reader, version.entry, "Good.")
            saving.follow(reader, version.entry, version)
            saving.follow_creator(reader, UserFactory())
            newer(version, version.base_model)
        with CaptureQueriesContext(connection) as found:
            for address in ("/my/saved", f"/collections/{collection.pk}", f"/models/{version.entry_id}/save"):
                assert signed_in(reader).get(address).status_code == 200
        costs.append(len(found))
    assert costs[0] == costs[1]
