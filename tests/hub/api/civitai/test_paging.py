"""Walking the list while others write: what stays as it is is met exactly once, in order, by every sort and by relevance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.api.civitai import listing, paging
from hub.api.civitai.vocabulary import SORTS
from registry import catalog
from registry.models import Entry, Tag, User
from tests.factories import FileFactory
from tests.hub.published import published_entry, published_version

ADDRESS = "/api/v1/models"
WAYS: list[dict[str, str]] = [*({"sort": sort} for sort in SORTS), {"query": "lantern"}, {"query": "lantern", "sort": "Oldest"}]
FALLEN_BACK = [sort for place, sort in enumerate(SORTS) if paging.order_of(sort) in map(paging.order_of, SORTS[:place])]
"""Sorts that are still one and the same: the first stands for them, the others are only looked at."""
START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from(["lantern", "lantern lantern", "a paper lantern of paper"]))
"""(seconds after `START`, downloads, name): few of each, so that most are equal to others in what they are sorted by."""
APPROVALS = {"lantern": 0.0, "lantern lantern": 0.2065493143772375, "a paper lantern of paper": 0.2065493143772376}
"""By name. Two differ in their last digit: a cursor must hold exactly the number that is compared."""
CHANGES = st.one_of(
    st.tuples(st.just("add"), KEYS),
    st.tuples(st.just("move"), st.integers(0, 99), KEYS),
    st.tuples(st.sampled_from(["delete", "withdraw", "hide"]), st.integers(0, 99)),
)


def add(owner: User, key: tuple[int, int, str]) -> Entry:
    seconds, downloads, name = key
    entry = published_entry(
        owner, name=name, published_at=START + timedelta(seconds=seconds), download_count=downloads, approval=APPROVALS.get(name, 0)
    )
    FileFactory(version=published_version(entry))
    catalog.reindex(entry)
    return entry


def change(owner: User, others: list[Entry], step: tuple[Any, ...]) -> None:
    """One write of somebody else: a new entry, or an old one that gets another place or leaves the list."""
    what, *rest = step
    if what == "add":
        others.append(add(owner, rest[0]))
        return
    if not others:
        return
    entry = others[rest[0] % len(others)]
    if what == "move":
        seconds, downloads, name = rest[1]
        Entry.objects.filter(pk=entry.pk).update(
            name=name, published_at=START + timedelta(seconds=seconds), download_count=downloads, approval=APPROVALS[name]
        )
        catalog.reindex(Entry.objects.get(pk=entry.pk))
    elif what == "delete":
        catalog.delete_entry(Entry.objects.get(pk=entry.pk))
    elif what == "withdraw":
        catalog.withdraw(entry.versions.get())
    else:
        Entry.objects.filter(pk=entry.pk).update(visibility="private")


def walk(query: dict[str, str], limit: int, steps: Iterator[Any]) -> list[int]:
    """Ids in the order met, following nextPage; one step is taken between two pages."""
    client = Client()
    body = client.get(ADDRESS, {**query, "limit": limit}).json()
    met = [item["id"] for item in body["items"]]
    while "nextPage" in body["metadata"]:
        assert body["metadata"]["nextPage"].startswith("http://testserver/api/v1/models?")
        assert len(met) < 200, "it goes round in circles"
        next(steps, None)
        body = client.get(body["metadata"]["nextPage"].removeprefix("http://testserver")).json()
        met += [item["id"] for item in body["items"]]
    return met


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way.values()))
def test_what_stays_is_met_once_and_in_order_whatever_others_write(creator: User, way: dict[str, str]) -> None:
    examples = 2 if way.get("sort") in FALLEN_BACK else 8

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        mine=st.lists(KEYS, min_size=2, max_size=7),
        theirs=st.lists(KEYS, max_size=4),
        changes=st.lists(CHANGES, max_size=9),
        limit=st.integers(1, 3),
    )
    def holds(mine: list[Any], theirs: list[Any], changes: list[Any], limit: int) -> None:
        Entry.objects.all().delete()
        kept = [add(creator, key).pk for key in mine]
        others = [add(creator, key) for key in theirs]
        alone = [pk for pk in walk(way, 100, iter(())) if pk in kept]
        assert sorted(alone) == sorted(kept)
        met = walk(way, limit, (change(creator, others, step) for step in changes))
        assert [pk for pk in met if pk in kept] == alone

    holds()


def test_a_walk_through_a_tag_and_a_search_by_date_is_in_order(creator: User) -> None:
    """`query` combines with filters, `sort` and cursors."""
    light = Tag.objects.create(name="light")
    entries = [add(creator, (seconds, 0, "lantern")) for seconds in (3, 1, 2, 0)]
    for entry in entries[:3]:
        entry.tags.add(light)
    expected = [entries[1].pk, entries[2].pk, entries[0].pk]
    assert walk({"query": "lantern", "tag": "light", "sort": "Oldest", "types": "Checkpoint"}, 1, iter(())) == expected
    assert walk({"query": "lantern", "tag": "light", "sort": "Newest", "period": "AllTime"}, 2, iter(())) == expected[::-1]


def test_a_token_is_not_repeated(creator: User, write_token: str) -> None:
    for key in ((0, 0, "a"), (1, 0, "b")):
        add(creator, key)
    metadata = Client().get(ADDRESS, {"limit": 1, "token": write_token, "sort": "Newest"}).json()["metadata"]
    assert write_token not in metadata["nextPage"]


@pytest.mark.parametrize("query", [{}, {"page": "2"}, {"query": "lantern"}, {"tag": "light", "baseModels": "SD 1.5", "period": "Year"}])
def test_a_page_is_one_query_beside_the_count(creator: User, monkeypatch: pytest.MonkeyPatch, query: dict[str, str]) -> None:
    light = Tag.objects.create(name="light")
    counts = []
    for more in (3, 9):
        for number in range(more):
            entry = add(creator, (number, number, "lantern"))
            Entry.objects.filter(pk=entry.pk).update(published_at=datetime.now(UTC))
            entry.tags.add(light)
            FileFactory(version=entry.versions.get(), blob__container="torch-zip")
        with CaptureQueriesContext(connection) as asked:
            assert Client().get(ADDRESS, {"limit": 2, **query}).json()["items"]
        counts.append(len(asked))
    assert counts == [2, 2]
    monkeypatch.setattr(listing, "LARGE_TOTAL", 1)
    monkeypatch.setattr(listing, "_totals", {})
    Client().get(ADDRESS, {"limit": 2, **query})
    with CaptureQueriesContext(connection) as asked:
        Client().get(ADDRESS, {"limit": 2, **query})
    assert len(asked) == 1
