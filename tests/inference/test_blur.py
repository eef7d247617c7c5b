"""BlurHashes: they show where a picture is light and dark, are stored with it, and come later to those that have none."""

from __future__ import annotations

import io
from typing import Any

import blurhash
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from PIL import Image

from inference import blur, pictures
from inference.models import Picture


def png(width: int = 64, height: int = 48) -> bytes:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), (220, 20, 20))
    image.paste((20, 20, 220), (width // 2, 0, width, height))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def row_of(data: bytes, **more: Any) -> Picture:
    known = {"sha256": "ab" * 32, "width": 64, "height": 48, "size_bytes": len(data), "seed": 1, "parameters": "", "renderer": "1"}
    return Picture.objects.create(key="k", **{**known, **more})


def test_left_and_right_are_told_apart() -> None:
    text = blur.blur_of(png())
    assert len(text) == 28
    shown = blurhash.decode(text, 8, 6)
    left, right = shown[3][0], shown[3][7]
    assert left[0] > left[2] + 60
    assert right[2] > right[0] + 60


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", png()[:60]])
def test_what_is_no_picture_has_none(data: bytes) -> None:
    assert blur.blur_of(data) == ""


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blur, "MOST_PIXELS", 64 * 48 - 1)
    assert blur.blur_of(png()) == ""


def test_older_pictures_get_theirs(db: None) -> None:
    picture = row_of(png())
    assert pictures.fill_blurs() == 0  # its bytes are not there
    storages["media"].save(picture.stored_name, ContentFile(png()))
    assert pictures.fill_blurs() == 1
    picture.refresh_from_db()
    assert picture.blurhash == blur.blur_of(png())
    assert pictures.fill_blurs() == 0
