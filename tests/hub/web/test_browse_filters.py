"""Filters of the browse page: what each lets through, how many it says it would leave, and that all of it stands in the address."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hub.templatetags import cards
from hub.web import facets
from hub.web.filters import Filters
from registry import catalog
from registry.models import Entry
from scanner import examination
from tests.hub.web.browsing import publish

pytestmark = pytest.mark.django_db


def shown(client: Client, address: str) -> list[str]:
    return sorted(card.name for card in client.get(address).context["page"].cards)


def option(client: Client, address: str, group: str, label: str) -> facets.Option:
    panel = client.get(address).context["panel"]
    (found,) = [one for each in panel.groups if each.name == group for one in each.options if str(one.label) == label]
    return found


@pytest.fixture
def shelf(creator: Any) -> None:
    publish("Anvil", tags=("iron", "photo"), size_mb=4000, owner=creator, allow_commercial_use=["Image", "Sell"])
    publish("Bellows", "lora", base="SDXL 1.0", tags=("iron", "night"), words=("bllws",), size_mb=100, detected={"family": "SDXL"})
    publish("Crucible", "lora", tags=("photo",), words=("crcbl",), size_mb=10, container="torch-zip", allow_derivatives=False)
    publish("Dross", "vae", base="Other", size_mb=300, rating=2, container="gguf", detected={"precision": "fp32"})
    version = publish("Ember", "embedding", size_mb=1)
    report = {"verdict": "suspicious", "kind": "torch-zip", "findings": [], "imports": []}
    examination.record(version.files.get().blob, report, None)
    Entry.objects.filter(name="Ember").update(published_at=timezone.now() - timedelta(days=20))
    catalog.reindex(Entry.objects.get(name="Ember"))


EVERYTHING = {
    "kind=lora": ["Bellows", "Crucible"],
    "base=SDXL+1.0": ["Bellows"],
    "format=pickle": ["Crucible"],
    "format=gguf": ["Dross"],
    "precision=fp32": ["Dross"],
    "min=50&max=500": ["Bellows", "Dross"],
    "min=3000": ["Anvil"],
    "max=50": ["Crucible"],
    "may=images": ["Anvil"],
    "may=images&may=sell": ["Anvil"],
    "may=derive": ["Anvil", "Bellows", "Dross", "Ember"],
    "has=words": ["Bellows", "Crucible"],
    "has=clean": ["Anvil", "Bellows", "Crucible", "Dross"],
    "rating=2": ["Dross"],
    "creator=ADA": ["Anvil"],
    "period=week": ["Anvil", "Bellows", "Crucible", "Dross"],
    "tag=iron": ["Anvil", "Bellows"],
    "tag=iron&tag=night": ["Bellows"],
    "tag=iron&not=night": ["Anvil"],
    "not=iron": ["Crucible", "Dross", "Ember"],
    "kind=lora&has=words&format=safetensors": ["Bellows"],
    "q=crucible&kind=lora": ["Crucible"],
    "q=crucible&kind=vae": [],
}


@pytest.mark.usefixtures("shelf")
def test_each_filter_lets_through_what_it_says(client: Client) -> None:
    for query, names in EVERYTHING.items():
        response = client.get(f"/?{query}")
        cards = sorted(card.name for card in response.context["page"].cards)
        assert (query, cards) == (query, names)
        assert response.context["panel"].total == len(names), query


@pytest.mark.usefixtures("shelf")
def test_counts_are_what_following_the_link_shows(client: Client) -> None:
    for address in ("/?kind=lora&tag=photo", "/?min=50&max=500", "/?not=iron&base=SD+1.5"):
        for group in client.get(address).context["panel"].groups:
            for each in group.options:
                if each.count is not None and not each.on:
                    followed = client.get(each.address)
                    assert followed.context["panel"].total == each.count == len(followed.context["page"].cards), (address, each)


@pytest.mark.usefixtures("shelf")
def test_every_filter_is_a_chip_that_takes_it_away_again(client: Client) -> None:
    queries = [query for query in EVERYTHING if "&" not in query] + ["q=crucible"]
    for query in queries:
        page = client.get(f"/?{query}")
        ((label, address),) = page.context["panel"].chips
        assert address == "/", query
        assert f'href="/"><bdi>{label}' in unescape(re.sub(r' (?:class|id|rel)="[^"]*"', "", page.content.decode())).replace(
            "&#x27;", "'"
        ), query
    several = client.get("/?kind=lora&tag=iron&not=photo&has=words&sort=name&per=50").context["panel"].chips
    assert [address for _label, address in several] == [
        "/?has=words&tag=iron&not=photo&sort=name&per=50",
        "/?kind=lora&has=words&not=photo&sort=name&per=50",
        "/?kind=lora&has=words&tag=iron&sort=name&per=50",
        "/?kind=lora&tag=iron&not=photo&sort=name&per=50",
    ]


@pytest.mark.usefixtures("shelf")
def test_tag_is_asked_for_refused_or_neither_by_links_alone(client: Client) -> None:
    free = option(client, "/", "tag", "iron")
    assert (free.on, free.refused, free.address, free.against) == (False, False, "/?tag=iron", "/?not=iron")
    wanted = option(client, "/?tag=iron", "tag", "iron")
    assert (wanted.on, wanted.address, wanted.against) == (True, "/", "/?not=iron")
    refused = option(client, "/?not=iron", "tag", "iron")
    assert (refused.refused, refused.address, refused.against) == (True, "/?tag=iron", "/")


def test_address_is_the_whole_question_and_always_written_alike(client: Client) -> None:
    query = "q=lamp&kind=lora&base=SD+1.5&min=1&max=9&has=words&may=sell&tag=a&tag=b&not=c&rating=2&sort=smallest&per=50&period=week"
    given = client.get(f"/?{query}").context["filters"]
    assert Filters.read(client.get(given.address).wsgi_request.GET) == given
    assert given.address == client.get(given.address).context["filters"].address
    assert client.get("/?sort=newest&per=24&kind=&tag=").context["filters"].address == "/"
    text = unescape(client.get(f"/?{query}").content.decode())
    assert f'data-copy="http://testserver{given.address}"' in text


@pytest.mark.parametrize(
    "query",
    [
        *(
            "kind=x",
            "sort=x",
            "per=7",
            "per=99999999999999999999",
            "min=-1",
            "min=1e3",
            "max=\x00",
            "rating=3",
            "has=x",
            "may=x",
            "period=x",
        ),
        *("fits=99999999", "fits=x", "fits=" + "9" * 30, "tag=%00", "tag=" + "x" * 5000, "q=%ED%A0%80", "show=-5", "min=٣", "not=%27%29--"),
        "&".join(f"tag=t{number}" for number in range(500)),
    ],
)
def test_odd_addresses_are_answered(client: Client, query: str) -> None:
    publish("Harbour Light")
    assert client.get(f"/?{query}").status_code == 200
    assert client.get(f"/?{query}", headers={"HX-Request": "true", "HX-Target": "cards"}).status_code == 200


def test_filters_are_asked_with_the_same_number_of_queries_for_any_number_of_cards(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        publish(f"Lamp {number}", "lora", tags=("a", f"b{number}"), words=("x",))
    with django_assert_max_num_queries(3):
        assert client.get("/").content.decode().count('class="card"') == 24
    with django_assert_max_num_queries(5):  # two filters of which one is chosen: each is counted once more, without itself
        client.get("/?kind=lora&base=SD+1.5&tag=a&not=b3&has=words&has=clean&may=derive")
    with django_assert_max_num_queries(2):
        assert client.get("/", headers={"HX-Request": "true", "HX-Target": "cards"}).content.decode().count('class="card"') == 24


def test_cards_are_small(client: Client) -> None:
    publish("Lamp", tags=("a",), words=("x",), rating=2, detected={"family": "SDXL"})
    card = re.search(r'<li class="card".*?</li>', client.get("/").content.decode(), re.DOTALL)
    assert card is not None
    assert len(re.findall(r"<[a-z]", card[0])) <= 30


def test_card_says_what_the_tensors_say_of_the_base_model(client: Client) -> None:
    publish("Proved", detected={"family": "SD 1.x"})
    publish("Contradicted", detected={"family": "SDXL"})
    publish("Silent")
    found = {card.name: card for card in client.get("/").context["page"].cards}
    assert {name: card.proof for name, card in found.items()} == {"Proved": "yes", "Contradicted": "no", "Silent": ""}
    assert "SD 1.5 / SDXL" in client.get("/?q=contradicted").content.decode()


def test_card_carries_what_keys_and_the_tray_need(client: Client) -> None:
    version = publish("Lamp", words=("lmp", 'say "<hi>"'))
    file = version.files.get()
    text = client.get("/").content.decode()
    assert f'data-entry="{version.entry_id}" data-version="{version.pk}"' in text
    assert f'data-download="/api/download/models/{version.pk}?fileId={file.pk}"' in unescape(text)
    assert 'data-words="lmp, say &quot;&lt;hi&gt;&quot;"' in text
    assert f'data-compare="{version.pk}" data-compare-name="Lamp"' in text


def test_a_kept_drawing_is_of_these_values_and_this_language(client: Client) -> None:
    version = publish("Lamp", words=("lmp",))
    for _ in range(2):
        assert 'data-words="lmp"' in client.get("/").content.decode()
    kept = cards._drawn.cache_info()
    assert kept.hits
    Entry.objects.filter(pk=version.entry_id).update(download_count=4321)
    assert "4,321" in client.get("/").content.decode()
    assert "已扫描" in client.get("/", headers={"accept-language": "zh-hans"}).content.decode()
    assert cards._drawn.cache_info().misses == kept.misses + 2


def test_large_counts_are_believed_for_a_while_and_hold_nothing_private(client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(facets, "LARGE", 0)
    monkeypatch.setattr(facets, "_kept", {})
    version = publish("Lamp")
    publish("Torch", visibility="private")
    publish("Candle", rating=8)
    assert client.get("/").context["panel"].total == 1
    publish("Lantern")
    panel = client.get("/").context["panel"]
    assert (panel.total, panel.hidden) == (1, 1)
    catalog.change_entry(Entry.objects.get(pk=version.entry_id), visibility="private")
    assert shown(client, "/") == ["Lantern"]
    facets._kept.clear()
    assert client.get("/").context["panel"].total == 1


def test_above_the_sites_cap_nothing_is_counted_either(client: Client, settings: Any, moderator: Any) -> None:
    publish("Candle", rating=8)
    settings.MAX_RATING = 4
    assert client.get("/").context["panel"].hidden == 0
    moderator.max_rating = 16
    moderator.save()
    client.force_login(moderator)
    assert client.get("/").context["panel"].total == 0


def test_empty_pages_say_why_and_offer_one_way_on(client: Client) -> None:
    assert "Nothing is published yet" in client.get("/").content.decode()
    publish("Candle", rating=16)
    text = client.get("/").content.decode()
    assert "Everything here is above your limit" in text
    assert text.split('class="empty"')[1].split("</section>")[0].count("<a ") == 1
    publish("Lamp")
    for query, why, way in (
        ("kind=vae", "No published model passes the filter above", '"/">Clear the filters'),
        ("kind=vae&tag=x", "No published model passes the 2 filters above", '"/">Clear the filters'),
        ("q=zzzz", "No model has “zzzz” in its name", '"/">Show all models'),
        ("q=zzzz&kind=vae", "together with the filter above", '"/?q=zzzz">Search without filters'),
    ):
        text = client.get(f"/?{query}").content.decode()
        assert why in " ".join(text.split()), query
        assert way in text, query
        assert text.split('class="empty"')[1].split("</section>")[0].count("<a ") == 1, query
