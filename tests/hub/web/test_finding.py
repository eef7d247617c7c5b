"""Pasted hashes, addresses and AIRs lead straight to the model, and only to what the visitor may open; else a page says what was read."""

from __future__ import annotations

from typing import Any

import pytest

from registry import catalog
from registry.models import BlobHash, Version
from tests.registry.test_search import published

pytestmark = pytest.mark.django_db
SHA = "AB12CD34" * 8


@pytest.fixture
def lantern(creator: Any) -> Version:
    version = published(creator, "Lantern")
    BlobHash.objects.create(blob=version.files.get().blob, kind="SHA256", value=SHA)
    BlobHash.objects.create(blob=version.files.get().blob, kind="AutoV1", value="0011AABB")
    return version


def led(client: Any, text: str) -> str:
    response = client.get("/", {"q": text}, headers={"host": "localhost"})
    return response.headers.get("Location", "")


@pytest.mark.parametrize(
    "text",
    [
        SHA,
        SHA.lower()[:10],
        "0011aabb",
        f"{SHA}  lantern.safetensors",
        "http://localhost/models/{entry}?modelVersionId={version}",
        "http://localhost/api/download/models/{version}",
        "urn:air:sd1:checkpoint:civitai:{entry}@{version}",
    ],
)
def test_leads_to_the_version(client: Any, lantern: Version, text: str) -> None:
    assert led(client, text.format(entry=lantern.entry_id, version=lantern.pk)) == f"/ada/lantern/v/{lantern.pk}"


@pytest.mark.parametrize("text", ["https://huggingface.co/ada/Lantern/tree/main", "http://localhost/models/{entry}"])
def test_leads_to_the_model(client: Any, lantern: Version, text: str) -> None:
    assert led(client, text.format(entry=lantern.entry_id)) == "/ada/lantern"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("F" * 64, "You pasted a hash"),
        ("https://civitai.com/models/{entry}?modelVersionId={version}", "Numbers of models on Civitai are not"),
        ("https://huggingface.co/ada/other", "ada/other"),
        ("urn:air:sd1:lora:civitai:{entry}@{version}", "You pasted an AIR"),
        ("http://localhost/ada/nothing", "/ada/nothing"),
    ],
)
def test_says_what_was_understood_and_that_it_is_not_here(client: Any, lantern: Version, text: str, said: str) -> None:
    page = client.get("/", {"q": text.format(entry=lantern.entry_id, version=lantern.pk)}, headers={"host": "localhost"})
    assert page.status_code == 200
    text = page.content.decode()
    assert said in text
    assert "This model is not on this hub" in text
    assert 'href="/upload"' in text


def test_what_is_private_looks_like_what_is_not_here(client: Any, creator: Any, lantern: Version) -> None:
    catalog.change_entry(lantern.entry, visibility="private")
    for text in (SHA, f"http://localhost/models/{lantern.entry_id}", "https://hf.co/ada/lantern"):
        assert led(client, text) == ""
        assert "This model is not on this hub" in client.get("/", {"q": text}, headers={"host": "localhost"}).content.decode()
    client.force_login(creator)
    assert led(client, SHA) == f"/ada/lantern/v/{lantern.pk}"


def test_a_hash_of_several_models_lists_them(client: Any, creator: Any, lantern: Version) -> None:
    other = published(creator, "Twin")
    other.files.update(blob=lantern.files.get().blob)
    page = client.get("/", {"q": SHA})
    assert {card.name for card in page.context["page"].cards} == {"Lantern", "Twin"}


def test_htmx_is_told_where_to_go(client: Any, lantern: Version) -> None:
    response = client.get("/", {"q": SHA}, headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["HX-Redirect"]) == (200, f"/ada/lantern/v/{lantern.pk}")


def test_pasting_costs_few_queries(client: Any, lantern: Version, django_assert_max_num_queries: Any) -> None:
    for _ in range(5):
        published(lantern.entry.owner, "Twin").files.update(blob=lantern.files.get().blob)
    with django_assert_max_num_queries(6):
        client.get("/search/suggest", {"q": SHA})
