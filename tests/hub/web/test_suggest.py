"""Suggestions while typing: names first, then tags and creators; never of what the visitor would not find in a list."""

from __future__ import annotations

import re
from typing import Any

import pytest

from registry import catalog
from registry.models import BlobHash, SearchWord
from tests.registry.test_search import HOSTILE, published

pytestmark = pytest.mark.django_db


def suggested(client: Any, text: str) -> list[str]:
    page = client.get("/search/suggest", {"q": text})
    assert page.status_code == 200
    return re.findall(r'class="hit">(?:<bdi>)?([^<]*)', page.content.decode())


def test_names_come_before_other_words_and_the_most_downloaded_first(client: Any, creator: Any) -> None:
    published(creator, "Paper", tags=["lanterns"])
    published(creator, "Lantern one")
    most = published(creator, "Red lantern").entry
    type(most).objects.filter(pk=most.pk).update(download_count=9)
    assert suggested(client, "lant") == ["Red lantern", "Lantern one", "Paper", "lanterns"]
    assert suggested(client, "red lan") == ["Red lantern"]


def test_tags_creators_and_hashes(client: Any, creator: Any) -> None:
    version = published(creator, "Lantern", tags=["harbour"])
    BlobHash.objects.create(blob=version.files.get().blob, kind="SHA256", value="AB12CD34" * 8)
    assert suggested(client, "harb")[-1] == "harbour"
    assert suggested(client, "Ada")[-1] == "ada"
    assert suggested(client, "AB12CD34AB") == ["Go to the model that this means"]


def test_typing_errors_are_mended(client: Any, creator: Any) -> None:
    published(creator, "Lighthouse")
    assert suggested(client, "lihgtho") == ["Lighthouse"]
    assert "<strong>lighthouse</strong>" in client.get("/search/suggest?q=lihgtho").content.decode()


@pytest.mark.parametrize("fields", [{"visibility": "private"}, {"visibility": "unlisted"}, {"rating": 8}])
def test_what_lists_do_not_show_is_not_suggested(client: Any, creator: Any, fields: dict[str, Any]) -> None:
    published(creator, "Zanzibar", tags=["zanzitag"], **fields)
    catalog.create_entry(creator, name="Zanzidraft", kind="lora")
    SearchWord.objects.create(word="zanzibar")
    for text in ("zanzibar", "zanzi", "zanzibra", "zanzitag", "ada"):
        assert suggested(client, text) == []


@pytest.mark.parametrize("text", [*HOSTILE[:6], *HOSTILE[7:], "", "a", " ", "%", "<script>"])
def test_hostile_questions_are_answered(client: Any, creator: Any, text: str) -> None:
    published(creator, "Lantern")
    suggested(client, text)


def test_names_are_escaped(client: Any, creator: Any) -> None:
    published(creator, "<script>alert(1)</script> lantern", tags=["lantern<b>"])
    page = client.get("/search/suggest?q=lant").content.decode()
    assert "<script>alert" not in page
    assert "lantern<b>" not in page


def test_queries_are_few_whatever_is_found(client: Any, creator: Any, django_assert_max_num_queries: Any) -> None:
    for number in range(8):
        published(creator, f"Lantern {number}", tags=[f"lantern{number}"])
    with django_assert_max_num_queries(4):
        client.get("/search/suggest?q=lant")
    with django_assert_max_num_queries(30):
        client.get("/search/suggest?q=lnatenr zzzzzzz yyyyyyy")
