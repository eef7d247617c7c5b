"""The page for programs: lines with this hub's address that work, limits as they are set, no secret; and the test string at every door."""

from __future__ import annotations

import html
import re
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from django.test import Client
from safetensors.numpy import save

from hub import limits
from hub.api.hub.schemalog import CHANGES
from registry.models import Token, User
from registry.tokentext import PATTERN, PUBLIC_SENTENCE, PUBLIC_TEST
from tests.factories import FileFactory
from tests.hub.published import published_entry, published_file, published_version

pytestmark = pytest.mark.django_db
PAGE = "/api/hub/docs/"


def words(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", text).split()))


def page(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    return response.content.decode()


def test_examples_name_this_hub_and_a_file_that_is_here(client: Client, creator: User) -> None:
    file = published_file(creator, b"weights")
    published_file(creator, b"hidden", version=published_version(published_entry(creator, visibility="private")))
    text = words(page(client))
    for said in (
        'curl -H "Authorization: Bearer $WEIGH_TOKEN" "http://testserver/api/v1/models?limit=3&sort=Newest"',
        f"http://testserver/api/v1/model-versions/by-hash/{file.sha256.upper()}",
        f'curl -fLOJ -H "Authorization: Bearer $WEIGH_TOKEN" http://testserver/api/download/models/{file.version_id}',
        "export HF_ENDPOINT=http://testserver HF_TOKEN=$WEIGH_TOKEN",
        f"hf download {creator.username}/{file.version.entry.slug}",
        f"curl http://testserver/api/hub/entries/{file.version.entry_id}",
    ):
        assert said in text, said


def test_every_answer_that_it_links_is_there(client: Client, creator: User) -> None:
    published_file(creator, save({"a": np.zeros(2, np.float16)}))
    text = page(client)
    links = [html.unescape(found) for found in re.findall(r'<a class="link" href="(/api/[^"#?]*(?:\?[^"]*)?)"', text)]
    assert len(links) >= 8
    for link in links:
        assert client.get(link).status_code == 200, link


def test_it_is_whole_where_nothing_is_published(client: Client) -> None:
    assert "hf download creator/model" in words(page(client))


def test_my_tokens_are_named_and_no_secret_is_shown(client: Client, creator: User, stranger: User) -> None:
    _, secret = Token.issue(creator, "laptop <b>")
    Token.issue(stranger, "somebody else's")
    client.force_login(creator)
    text = page(client)
    assert "laptop <b>" in words(text)
    assert "<b>" not in text.replace("&lt;b&gt;", "")
    assert "somebody else" not in text
    assert secret not in text
    assert "export WEIGH_TOKEN=wh_… # laptop <b>" in words(text)
    assert client.get(PAGE)["Cache-Control"] == "private, no-store"


def test_limits_are_those_of_the_settings_with_what_i_used(client: Client, creator: User, settings: Any) -> None:
    settings.RENDER_PICTURES_PER_DAY, settings.USER_QUOTA_BYTES = 321, 2_000_000
    FileFactory(version=published_version(published_entry(creator)), size_bytes=500_000)
    cache.set(limits.pushed_key(creator.pk), 7)
    assert "Pictures asked for within a day 321" in words(page(client))
    assert "You" not in re.findall(r"<th scope=\"col\">([^<]*)", page(client))
    client.force_login(creator)
    text = words(page(client))
    assert "All files of one person 2.00 MB 500 kB" in text
    assert "Changes by the Hugging Face door within 300 seconds 500 7" in text
    cache.delete(limits.pushed_key(creator.pk))


def test_it_costs_few_queries(client: Client, creator: User, django_assert_max_num_queries: Any) -> None:
    for number in range(5):
        published_file(creator, bytes([number]))
        Token.issue(creator, f"token {number}")
    with django_assert_max_num_queries(2):
        page(client)
    client.force_login(creator)
    with django_assert_max_num_queries(14):
        page(client)


def test_changes_stand_the_newest_first(client: Client) -> None:
    assert [change.day for change in CHANGES] == sorted((change.day for change in CHANGES), reverse=True)
    assert CHANGES[0].text in html.unescape(page(client))


def test_the_form_of_tokens_is_documented(client: Client) -> None:
    text = html.unescape(page(client))
    assert PATTERN in text
    assert PUBLIC_TEST in text


@pytest.mark.parametrize(
    "address",
    ["/api/hub/entries/1", "/api/v1/models", "/api/v1/me", "/api/models/creator/model", "/api/whoami-v2", "/api/v1/models?token="],
)
def test_every_door_says_what_the_public_test_string_is(client: Client, address: str) -> None:
    if address.endswith("="):
        response = client.get(address + PUBLIC_TEST)
    else:
        response = client.get(address, headers={"authorization": f"Bearer {PUBLIC_TEST}"})
    assert response.status_code == 401
    assert response.json()["error"] == PUBLIC_SENTENCE


def test_the_test_string_opens_nothing_even_for_who_is_signed_in(client: Client, creator: User) -> None:
    client.force_login(creator)
    assert client.get("/api/hub/entries/1", headers={"authorization": f"Bearer {PUBLIC_TEST}"}).status_code == 401
    assert Token.resolve(PUBLIC_TEST) is None
