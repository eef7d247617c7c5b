"""Pages of the grid while models come, go and change between them: what stays where it is comes exactly once, in every order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.web.filters import SORTS
from registry import facts
from registry.models import Entry
from tests.factories import BlobFactory, EntryFactory, FileFactory, UserFactory, VersionFactory
from tests.hub.web.browsing import publish

pytestmark = pytest.mark.django_db
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
VALUES = st.integers(0, 3)
"""Few, so that many are equal and the id decides."""
CHANGES = st.lists(st.tuples(st.sampled_from(["new", "withdraw", "rise"]), VALUES, st.integers(0, 99)), max_size=3)


def listed(owner: Any, number: int, value: int) -> Entry:
    """A model whose place in every order follows from `value`. Rows alone: this is about hundreds of them."""
    moment = FIRST + timedelta(days=value)
    entry = EntryFactory(owner=owner, name=f"lamp {value}", live=True, published_at=moment, download_count=value, approval=value / 3)
    version = VersionFactory(entry=entry, status="published", published_at=moment)
    FileFactory(version=version, blob=BlobFactory(), size_bytes=1000 + value)
    Entry.objects.filter(pk=entry.pk).update(updated_at=moment)
    return entry


def change(owner: Any, kind: str, value: int, which: int, entries: list[Entry]) -> set[int]:
    """Do one thing to the catalogue; ids of entries that it moved."""
    if kind == "new":
        added = listed(owner, len(entries), value)
        facts.refresh([added.pk])
        return {added.pk}
    entry = entries[which % len(entries)]
    if kind == "withdraw":
        Entry.objects.filter(pk=entry.pk).update(live=False)
    else:
        Entry.objects.filter(pk=entry.pk).update(download_count=50, approval=0.99, published_at=FIRST + timedelta(days=90), name="zzz lamp")
    facts.refresh([entry.pk])
    return {entry.pk}


@settings(
    max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(VALUES, min_size=5, max_size=10), between=st.lists(CHANGES, max_size=4), sort=st.sampled_from(list(SORTS)))
def test_what_does_not_move_comes_exactly_once(client: Client, monkeypatch: Any, values: list[int], between: list[Any], sort: str) -> None:
    monkeypatch.setattr("hub.web.filters.SIZES", (3, 24))
    Entry.objects.all().delete()
    owner = UserFactory()
    entries = [listed(owner, number, value) for number, value in enumerate(values)]
    facts.rebuild()
    moved: set[int] = set()
    seen: list[int] = []
    address = f"/?per=3&sort={sort}" + ("&q=lamp" if sort == "relevance" else "")
    for turn in range(40):
        page = client.get(address).context["page"]
        seen += [int(card.pk) for card in page.cards]
        if not page.next_after:
            break
        address = f"{address.split('&after')[0]}&after={page.next_after}"
        for step in between[turn] if turn < len(between) else []:
            moved |= change(owner, *step, entries)
    still = [pk for pk in seen if pk not in moved]
    assert sorted(still) == sorted(entry.pk for entry in entries if entry.pk not in moved)
    if sort in {"newest", "downloads", "rated", "name"}:  # these only rise: what rose is before the place one has reached, or after it
        assert len(seen) == len(set(seen)) or sort == "name"


def test_orders_are_what_they_say(client: Client) -> None:
    for number, (downloads, approval, size) in enumerate([(5, 0.2, 30), (50, 0.1, 10), (1, 0.9, 20)]):
        version = publish(f"Lamp {'BCa'[number]}", size_mb=size)
        Entry.objects.filter(pk=version.entry_id).update(download_count=downloads, approval=approval)
    publish("Wick").files.all().delete()
    facts.rebuild()

    def order(sort: str) -> str:
        return "".join(card.name[-1] for card in client.get(f"/?sort={sort}").context["page"].cards)

    assert order("downloads")[:3] == "CBa"
    assert order("rated")[:3] == "aBC"
    assert order("smallest") == "Cabk".replace("b", "B")
    assert order("name") == "aBCk"
    assert order("newest") == "kaCB"
    touched = Entry.objects.get(name="Lamp B")
    touched.save()
    facts.refresh([touched.pk])
    assert order("updated")[0] == "B"


def test_further_cards_have_an_address_of_their_own(client: Client) -> None:
    for number in range(26):
        publish(f"Lamp {number}")
    first = client.get("/")
    following = first.context["following"]
    assert f'href="{following.replace("&", "&amp;")}"' in first.content.decode()
    second = client.get(following)
    assert [card.name for card in second.context["page"].cards] == ["Lamp 1", "Lamp 0"]
    assert "<html" in second.content.decode()
    part = client.get(f"{following}&show=1", headers={"HX-Request": "true", "HX-Target": "cards"})
    assert part.content.decode().count('class="card"') == 1
    assert "<html" not in part.content.decode()
    assert {"HX-Request", "HX-Target"} <= {name.strip() for name in part.headers["Vary"].split(",")}
