"""The guides: short, whole, led to from where the question comes up, and leading nowhere that is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils.html import strip_tags

from hub.web.guides import GUIDES
from tests.pictures import published_weights

SLUGS = [one.slug for one in GUIDES]
MOST_BYTES = 60_000


def read(client: Client, slug: str) -> str:
    answer = client.get(f"/guides/{slug}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_there_are_six_and_the_list_leads_to_all(client: Client) -> None:
    text = client.get("/guides").content.decode()
    assert [f'href="/guides/{slug}"' in text for slug in SLUGS] == [True] * 6
    assert client.get("/guides/nothing").status_code == 404


@pytest.mark.parametrize("slug", SLUGS)
def test_a_guide_is_short_and_its_contents_line_holds(client: Client, slug: str) -> None:
    text = read(client, slug)
    body = text.partition('<div class="guide-text">')[2].partition('<nav class="guide-turn"')[0]
    words = len(strip_tags(body).split())
    assert 250 <= words <= 560
    anchors = re.findall(r'class="link" href="#([\w-]+)"', text)
    assert anchors
    assert anchors == re.findall(r'<h2 id="([\w-]+)"', body)


@pytest.mark.django_db
@pytest.mark.parametrize("slug", SLUGS)
def test_what_a_guide_leads_to_is_there(client: Client, slug: str) -> None:
    body = read(client, slug).partition('<article class="guide')[2].partition("</article>")[0]
    links = set(re.findall(r'href="([^"#]+)"', body))
    others = {link for link in links if link.startswith("/guides/")}
    assert len(others) >= 2
    assert {link: client.get(link).status_code for link in links if client.get(link).status_code not in {200, 302}} == {}
    for source in re.findall(r'src="([^"]+)"', body):
        assert Path(settings.BASE_DIR, source.lstrip("/")).stat().st_size <= MOST_BYTES
    assert body.count("<svg") + body.count("<img") >= 1


def test_a_guide_asks_the_database_for_nothing(client: Client, django_assert_num_queries: Any, db: None) -> None:
    with django_assert_num_queries(0):
        read(client, "merging")


@pytest.mark.django_db
def test_pages_lead_to_them_where_the_question_comes_up(creator: Any) -> None:
    file = published_weights(creator)
    client = Client()
    client.force_login(creator)
    asked = {
        f"/{creator.username}/{file.version.entry.slug}": ("base-models", "formats"),
        "/merge": ("merging",),
        "/upload": ("base-models",),
        f"/files/{file.pk}/scan": ("pickles",),
    }
    for address, slugs in asked.items():
        text = client.get(address).content.decode()
        assert [slug for slug in slugs if f'href="/guides/{slug}"' not in text] == [], address
