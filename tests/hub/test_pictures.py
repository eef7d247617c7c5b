"""Rendered pictures as bytes: who gets them, under which headers, large and small, from disk and from S3."""

from __future__ import annotations

import hashlib
import io
import os
import urllib.error
import urllib.request
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import Client
from PIL import Image

from hub import pictures, thumbnails
from inference.models import Picture, Purpose
from registry import catalog
from registry.models import Entry, Version
from tests.pictures import drafted_weights, png, published_weights, rendered, specs
from tests.servers import LiveHub

pytestmark = pytest.mark.django_db


def first(render: Any) -> Picture:
    return render.shots.first().picture


def client_of(user: Any) -> Client:
    client = Client()
    if user:
        client.force_login(user)
    return client


def fetch(url: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """(status, headers with lower-case names, body)."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}, b""


@pytest.fixture
def shown(creator: Any) -> Picture:
    """The first preview of a published version, 640 pixels wide."""
    return first(rendered(published_weights(creator)))


def test_a_public_picture_is_everybodys_and_for_ever(client: Client, shown: Picture) -> None:
    answer = client.get(pictures.original(shown, "paper lanterns v1"))
    assert answer.status_code == 200
    assert answer["X-Accel-Redirect"] == f"/protected/media/{shown.stored_name}"
    assert answer["Content-Type"] == "image/png"
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer["ETag"] == f'"{shown.sha256}"'
    assert answer["Content-Disposition"] == 'inline; filename="paper-lanterns-v1.png"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in answer or "Cookie" not in answer["Vary"]


def test_the_server_sends_the_stored_bytes_with_their_text(live_hub: LiveHub, creator: Any, transactional_db: None) -> None:
    picture = first(rendered(published_weights(creator)))
    status, headers, body = fetch(live_hub.url + pictures.original(picture, "x"))
    assert (status, hashlib.sha256(body).hexdigest()) == (200, picture.sha256)
    assert Image.open(io.BytesIO(body)).text["parameters"] == picture.parameters  # type: ignore[attr-defined]
    assert fetch(live_hub.url + pictures.original(picture, "x"), {"If-None-Match": headers["etag"]})[0] == 304
    address, *_ = pictures.small(picture, "x")
    status, headers, body = fetch(live_hub.url + address)
    assert (headers["content-type"], Image.open(io.BytesIO(body)).size) == ("image/webp", (450, 450))
    assert headers["x-content-type-options"] == "nosniff"


def test_small_ones_are_made_once_and_never_larger(client: Client, creator: Any) -> None:
    rendered(published_weights(creator), specs(1, 640))
    rendered(published_weights(creator), specs(1, 128))
    large, tiny = (Picture.objects.get(width=size) for size in (640, 128))
    assert pictures.small(tiny, "x") == (pictures.original(tiny, "x"), 128, 128)
    address, width, height = pictures.small(large, "x")
    assert (width, height) == (450, 450)
    stored = thumbnails.stored_name(large, 450)
    assert not storages["media"].exists(stored)
    assert client.get(address)["X-Accel-Redirect"] == f"/protected/media/{stored}"
    made = storages["media"].path(stored)
    before = os.stat(made).st_mtime_ns
    client.get(address)
    assert os.stat(made).st_mtime_ns == before
    # what other programs make of an address: a width of their own, or the original
    assert client.get(address.replace("width=450", "width=320"))["Content-Type"] == "image/webp"
    assert client.get(address.replace("width=450", "anim=false,width=450"))["Content-Type"] == "image/webp"
    assert client.get(address.replace("width=450", "width=2000"))["Content-Type"] == "image/png"
    assert client.get(address.replace("width=450", "original=true"))["Content-Type"] == "image/png"
    assert client.get(pictures.original(tiny, "x").replace("original=true", "width=450"))["Content-Type"] == "image/png"


@pytest.mark.parametrize("condition", ["public", "unlisted", "private", "draft", "withdrawn", "deleted", "asked"])
def test_who_sees_a_picture(creator: Any, stranger: Any, moderator: Any, condition: str) -> None:
    file = drafted_weights(creator) if condition == "draft" else published_weights(creator)
    asker = stranger if condition == "asked" else creator
    purpose = Purpose.TXT2IMG if condition == "asked" else Purpose.PREVIEW
    picture = first(rendered(file, owner=asker, purpose=purpose))
    if condition in {"unlisted", "private"}:
        Entry.objects.filter(pk=file.version.entry_id).update(visibility=condition)
    if condition == "withdrawn":
        catalog.withdraw(file.version, "wrong")
    if condition == "deleted":
        Version.objects.filter(pk=file.version_id).update(deleted_at=file.version.published_at)
    public = condition in {"public", "unlisted"}
    expected = {None: public, stranger: public or condition == "asked", creator: condition != "asked", moderator: True}
    for width in (None, 450):
        address = pictures.path(picture.sha256, width, "x")
        for user, may in expected.items():
            answer = client_of(user).get(address)
            assert answer.status_code == (200 if may else 404), (user, width)
            if may:
                assert ("immutable" in answer["Cache-Control"]) == public
                assert answer["Cache-Control"].startswith("public" if public else "private, no-cache")


def test_a_picture_of_two_renders_is_as_open_as_the_more_open_of_them(client: Client, creator: Any, stranger: Any) -> None:
    hidden = rendered(drafted_weights(creator), specs(1), owner=stranger, purpose=Purpose.TXT2IMG)
    assert client.get(pictures.original(first(hidden), "x")).status_code == 404
    open_one = rendered(published_weights(creator), specs(1))
    assert first(open_one) == first(hidden)
    assert client.get(pictures.original(first(open_one), "x")).status_code == 200


def test_nobody_learns_of_digests_that_nobody_made(client: Client, shown: Picture) -> None:
    hidden = client.get(pictures.path("0" * 64, None, "x"))
    assert hidden.status_code == 404
    assert client.get(f"/pictures/{shown.sha256.upper()}/original=true/x.png").status_code == 404
    assert client.get(f"/pictures/{shown.sha256}/original=true/..%2f..%2fetc").status_code == 404
    assert client.get(f"/pictures/{shown.sha256}/original=true/%E5%90%8D.png").status_code == 404, "it would garble Content-Disposition"
    assert client.post(pictures.original(shown, "x")).status_code == 405


def test_a_name_in_an_address_cannot_change_what_is_saved(client: Client, shown: Picture) -> None:
    answer = client.get(f"/pictures/{shown.sha256}/original=true/invoice.pdf.exe")
    assert answer["Content-Disposition"] == 'inline; filename="invoice.pdf.png"'


def test_a_broken_or_lost_original_is_a_404_and_a_line_in_the_log(client: Client, creator: Any, caplog: Any) -> None:
    broken, lost = (first(rendered(published_weights(creator), specs(1, size))) for size in (640, 704))
    storages["media"].delete(lost.stored_name)
    with open(storages["media"].path(broken.stored_name), "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\nnot really")
    for picture in (broken, lost):
        address, *_ = pictures.small(picture, "x")
        assert client.get(address).status_code == 404
    assert client.get(pictures.original(lost, "x")).status_code == 404
    assert caplog.text.count("cannot be sent") == 3


def test_a_picture_that_is_larger_than_its_row_says_is_not_decoded(client: Client, creator: Any, caplog: Any) -> None:
    picture = first(rendered(published_weights(creator), specs(1, 640)))
    Picture.objects.filter(pk=picture.pk).update(height=4096)
    assert client.get(pictures.path(picture.sha256, 450, "x")).status_code == 404
    assert "is stored as (640, 640)" in caplog.text


def test_on_s3_pictures_come_from_the_bucket(s3_stores: None, client: Client, creator: Any, tmp_path: Any) -> None:
    spec = specs(1, 640)[0]
    data = png((10, 90, 200), (640, 640), "a red circle")
    file = published_weights(creator)
    picture = Picture.objects.create(
        key="k" * 64, sha256=hashlib.sha256(data).hexdigest(), width=640, height=640, size_bytes=len(data), seed=1, parameters="x"
    )
    storages["media"].save(picture.stored_name, io.BytesIO(data))
    render = rendered(file, [spec], done=0)
    render.shots.update(picture=picture)
    answer = client.get(pictures.original(picture, "x"))
    assert (answer.status_code, answer.content) == (200, data)
    etag = answer["ETag"]
    assert client.get(pictures.original(picture, "x"), headers={"If-None-Match": etag}).status_code == 304
    for _ in range(2):
        small = client.get(pictures.path(picture.sha256, 450, "x"))
        assert Image.open(io.BytesIO(small.content)).size == (450, 450)
