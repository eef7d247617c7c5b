"""What other sites show of a model: only what strangers see, and no picture above PG."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from hub.web import art, artcard
from tests.factories import FileFactory, UserFactory
from tests.hub.published import published_entry, published_version
from tests.pictures import rendered, specs

pytestmark = pytest.mark.django_db


def model(*, drawn: bool = True, **fields: Any) -> Any:
    words = "**Folded** [boats](https://example.org/x) on `water`."
    entry = published_entry(UserFactory(), name="Paper Boats", description=words, **fields)
    version = published_version(entry)
    file = FileFactory(version=version)
    if not drawn:
        rendered(file, specs(1))
    return version


def tags(client: Client, version: Any) -> dict[str, str]:
    page = client.get(f"/{version.entry.owner.username}/{version.entry.slug}").content.decode()
    return dict(re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]+)" content="([^"]*)">', page))


def test_a_card_says_what_it_is_and_shows_what_was_rendered(client: Client) -> None:
    version = model(drawn=False)
    found = tags(client, version)
    assert found["og:title"] == f"Paper Boats by {version.entry.owner.username}"
    assert found["og:description"] == "Checkpoint for SD 1.5. Folded boats on water."
    assert "/pictures/" in found["og:image"]
    assert found["og:url"].endswith(f"/{version.entry.slug}/v/{version.pk}")
    assert client.get(found["og:image"].removeprefix("http://testserver")).status_code == 200


@pytest.mark.parametrize("rating", [2, 4])
def test_no_picture_above_pg_is_ever_on_a_card(client: Client, rating: int) -> None:
    version = model(drawn=False, rating=rating)
    owner = Client()
    owner.force_login(version.entry.owner)
    for visitor in (client, owner):
        found = tags(visitor, version)
        assert "/pictures/" not in str(found)
        assert ("og:image" in found) == (rating == 2)
    answer = client.get("/oembed", {"url": f"http://testserver/{version.entry.owner.username}/{version.entry.slug}"})
    assert answer.status_code == (200 if rating == 2 else 404)
    assert "/pictures/" not in answer.content.decode()


def test_drawn_art_is_a_png_of_the_size_that_is_told(client: Client) -> None:
    found = tags(client, model())
    answer = client.get(found["og:image"].removeprefix("http://testserver"))
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (str(picture.width), str(picture.height)) == (found["og:image:width"], found["og:image:height"])
    assert client.get(f"/art/{artcard.VERSION}/checkpoint/nobodys.png").status_code == 404


@pytest.mark.parametrize("kind", [*art.MOTIFS, "other"])
def test_every_drawing_is_inked(kind: str) -> None:
    with Image.open(io.BytesIO(artcard.png("boats", kind))) as picture:
        colours = picture.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert len(colours) >= 5


def test_oembed_answers_for_addresses_of_this_hub_alone(client: Client) -> None:
    version = model(drawn=False)
    ours = f"http://testserver/{version.entry.owner.username}/{version.entry.slug}"
    answer = client.get("/oembed", {"url": ours}).json()
    assert (answer["version"], answer["type"], answer["author_name"]) == ("1.0", "link", version.entry.owner.username)
    assert answer["thumbnail_url"].startswith("http://testserver/pictures/")
    elsewhere = ("https://example.org/a/b", "http://testserver/about", "http://[", "javascript:alert(1)")
    for address in (*elsewhere, f"{ours}/v/99999", f"{ours}-no"):
        assert client.get("/oembed", {"url": address}).status_code == 404, address
    assert client.get("/oembed").status_code == 400
    assert client.get("/oembed", {"url": ours, "format": "xml"}).status_code == 501


@pytest.mark.parametrize("visibility", ["private", "draft"])
def test_what_strangers_do_not_see_has_no_card(visibility: str) -> None:
    version = model(visibility="private" if visibility == "private" else "public")
    if visibility == "draft":
        version.status = "draft"
        version.save()
    owner = Client()
    owner.force_login(version.entry.owner)
    assert tags(owner, version) == {}
