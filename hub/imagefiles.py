"""Addresses of people's images as bytes, the answers that carry them, and the colour that stands in until they come.

Who may have one is `registry.images.may_get`'s answer, asked by the caller.
"""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse

from hub import mediafiles
from hub.downloads import SANDBOX
from registry import images
from registry.imagesizes import WIDTHS, shown_size
from registry.models import StoredImage, UserImage

SMALL, LARGE = WIDTHS
FOR_A_WHILE = "public, max-age=600"
"""A moderator may hide an image, so caches keep it for minutes only."""
ASK_AGAIN = "private, no-cache"
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def path(image: UserImage, width: int | None) -> str:
    """Path of the copy of a width of `WIDTHS`; of the original for None."""
    return f"/images/{image.pk}/original.{image.file.kind}" if width is None else f"/images/{image.pk}/w{width}.webp"


def size(file: StoredImage, width: int | None) -> tuple[int, int]:
    """(width, height) in pixels of what `path` leads to."""
    return (file.width, file.height) if width is None else shown_size(file.width, file.height, width)


def colour(blurhash: str) -> str:
    """The mean colour of an image, "#rrggbb": what a BlurHash begins with (its DC value, four digits to the base of 83)."""
    digits = [_BASE83.find(digit) for digit in blurhash[2:6]]
    if len(digits) < 4 or min(digits) < 0:
        return ""
    value = 0
    for digit in digits:
        value = value * 83 + digit
    return f"#{value & 0xFFFFFF:06x}"


def answer(request: HttpRequest, image: UserImage, width: int | None) -> HttpResponse:
    """The bytes; originals to be saved and never shown by themselves. Raises as `mediafiles.answer`."""
    file = image.file
    name = file.stored_name if width is None else file.shown_name(width)
    etag = f'"{file.sha256}"' if width is None else f'"{file.sha256}-w{width}"'
    response = mediafiles.answer(request, name, etag, f"image/{file.kind}" if width is None else "image/webp")
    response["Cache-Control"] = FOR_A_WHILE if images.is_public(image) else ASK_AGAIN
    stem = _UNFIT.sub("-", image.name.rpartition(".")[0] or image.name)[:80].strip("-") or "image"
    kind = "attachment" if width is None else "inline"
    response["Content-Disposition"] = f'{kind}; filename="{stem}.{file.kind if width is None else "webp"}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = SANDBOX
    response["Cross-Origin-Resource-Policy"] = "cross-origin" if images.is_public(image) else "same-origin"
    return response
