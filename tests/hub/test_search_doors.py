"""One search behind three doors: what is written is found at once through each, typing errors are mended, nothing breaks them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from registry import catalog
from registry.models import Entry, Rating, Version
from tests.factories import FileFactory
from tests.registry.test_search import HOSTILE, published

pytestmark = pytest.mark.django_db


def on_the_site(client: Any, text: str) -> list[str]:
    response = client.get("/?" + text)
    return [card.name for card in response.context["page"].cards]


def by_civitai(client: Any, text: str) -> list[str]:
    return [item["name"] for item in client.get("/api/v1/models?" + text.replace("q=", "query=")).json()["items"]]


def by_hugging_face(client: Any, text: str) -> list[str]:
    names = {entry.slug: entry.name for entry in Entry.objects.all()}
    return [names[item["id"].split("/")[1]] for item in client.get("/api/models?" + text.replace("q=", "search=")).json()]


DOORS = [on_the_site, by_civitai, by_hugging_face]
Door = Callable[[Any, str], list[str]]


@pytest.mark.parametrize("door", DOORS)
def test_what_is_written_is_found_within_a_second(client: Any, creator: Any, door: Door) -> None:
    published(creator, "Other")
    assert [door(client, f"q={text}") for text in ("lantern", "zeppelin", "latecomer")] == [[], [], []]
    version = published(creator, "Lantern")
    written = time.monotonic()
    assert door(client, "q=lantern") == ["Lantern"]
    assert time.monotonic() - written < 1
    catalog.change_entry(version.entry, name="Zeppelin")
    assert (door(client, "q=zeppelin"), door(client, "q=lantern")) == (["Zeppelin"], [])
    second = catalog.create_version(version.entry, name="v2", base_model="SD 1.5", trigger_words=["latecomer"])
    FileFactory(version=second)
    assert door(client, "q=latecomer") == []
    catalog.publish(second)
    assert door(client, "q=latecomer") == ["Zeppelin"]
    catalog.withdraw(Version.objects.get(pk=second.pk))
    assert door(client, "q=latecomer") == []


@pytest.mark.parametrize("door", DOORS)
def test_a_typing_error_is_mended_only_where_a_word_finds_nothing(client: Any, creator: Any, door: Door) -> None:
    published(creator, "Lantern")
    assert door(client, "q=lantren") == ["Lantern"]
    published(creator, "Lantren")
    assert door(client, "q=lantren") == ["Lantren"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("text", ["水墨", "café", "dream shaper"])
def test_many_spellings_find_through_every_door(client: Any, creator: Any, door: Door, text: str) -> None:
    published(creator, "水墨画 Cafe DreamShaper")
    assert len(door(client, "q=" + quote(text))) == 1


@pytest.mark.parametrize("address", ["/?q=", "/api/v1/models?query=", "/api/models?search="])
def test_hostile_questions_break_no_door(client: Any, creator: Any, address: str) -> None:
    published(creator, "Lantern")
    for text in [*(quote(text.encode("utf-8", "surrogatepass")) for text in HOSTILE), "%ED%A0%80", "%00", "%F0%9F%94%A5", "%FF%FE"]:
        assert client.get(address + text).status_code in {200, 302, 400}, text


def test_the_site_says_what_it_looked_for_and_offers_the_exact_words(client: Any, creator: Any) -> None:
    published(creator, "Lantern")
    text = client.get("/?q=lantren").content.decode()
    assert "Showing results for <strong>lantern</strong>" in text
    assert 'href="?q=lantren&amp;exact=1"' in text
    assert on_the_site(client, "q=lantren&exact=1") == []


def test_words_above_the_limit_mend_nothing(client: Any, creator: Any) -> None:
    published(creator, "Zanzibar", rating=Rating.X)
    assert on_the_site(client, "q=zanzibra") == by_civitai(client, "q=zanzibra") == []
    assert by_civitai(client, "q=zanzibra&nsfw=true") == ["Zanzibar"]
