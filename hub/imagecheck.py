"""A worker's look at an image: a locked child decodes it, its copies are stored, and what it says of its making is recorded.

What the child says is believed only where it is of the shape and size that it must have: it has worked on a stranger's bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from dataclasses import dataclass
from typing import Any

from hub.imagedoor import admitted
from hub.imagemeta import ImageMeta, layout_of
from registry import images, imagestore
from registry.formats.errors import FormatError
from registry.imagesizes import WIDTHS, shown_size
from registry.models import UserImage
from registry.sandbox.parent import run_child

CHILD = "hub.imagepixels:main"
SECONDS = 30
MEMORY = 1 << 30
"""Bytes of address space: 40 million pixels are 160 MB, and twice that while their mode is changed."""
MAX_COPY = 4 << 20
_BLURHASH = re.compile(r"[0-9A-Za-z#$%*+,\-.:;=?@\[\]^_{|}~]{6,40}")


class Trouble(Exception):
    """The child failed for no fault of the image: tried again later."""


@dataclass(frozen=True)
class Made:
    """What came out: size in pixels as people see it, BlurHash, copies (WebP) by `WIDTHS`, metadata."""

    width: int
    height: int
    blurhash: str
    copies: list[bytes]
    meta: ImageMeta
    sandbox: list[str]


def work(image: UserImage) -> None:
    """Make an image ready and show it; for `registry.work.run`. Raises `FormatError` for one that cannot be decoded."""
    data = imagestore.original(image.file)
    made = look(data)
    for width, copy in zip(WIDTHS, made.copies, strict=True):
        imagestore.place(image.file.shown_name(width), copy)
    meta = made.meta.to_json()
    workflow = meta.pop("workflow") or ""
    found = {"width": made.width, "height": made.height, "blurhash": made.blurhash, "tool": made.meta.tool[:20]}
    images.accept(image, **found, meta=meta, workflow=workflow)


def look(data: bytes) -> Made:
    """Decode an image in a locked child. Raises `FormatError` for its own fault, `Trouble` for ours."""
    layout = admitted(data)
    fd = os.memfd_create("image")
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        code, answer = run_child(CHILD, fd, [], timeout=SECONDS, site_packages=True, memory_bytes=MEMORY)
    finally:
        os.close(fd)
    if code is None or code < 0:
        raise FormatError("image:too-hard", "The image took too long to decode. Save it again in a simpler form and attach that.")
    return _believed(_answer(code, answer), (layout.width, layout.height))


def _answer(code: int, answer: bytes | None) -> dict[str, Any]:
    try:
        said = json.loads(answer or b"")
    except (ValueError, RecursionError):
        said = None
    if code or not isinstance(said, dict):
        raise Trouble(f"the child of an image ended with {code}: {(answer or b'')[-2000:]!r}")
    if said.get("late"):
        raise FormatError("image:too-hard", "The image took too long to decode. Save it again in a simpler form and attach that.")
    error = said.get("error")
    if isinstance(error, dict) and isinstance(error.get("code"), str) and isinstance(error.get("sentence"), str):
        raise FormatError(error["code"][:60], error["sentence"][:600])
    if not isinstance(said.get("answer"), dict):
        raise Trouble(f"the child of an image said {str(said)[:2000]}")
    return said


def _believed(said: dict[str, Any], size: tuple[int, int]) -> Made:
    try:
        told = said["answer"]
        width, height = told["width"], told["height"]
        if (width, height) not in (size, size[::-1]) or not _BLURHASH.fullmatch(told["blurhash"]):
            raise ValueError("another size, or no BlurHash")
        copies = [_copy(text, shown_size(width, height, wanted)) for text, wanted in zip(told["copies"], WIDTHS, strict=True)]
        return Made(width, height, told["blurhash"], copies, ImageMeta.from_json(told["meta"]), [str(one) for one in said["sandbox"]])
    except (ValueError, TypeError, KeyError, binascii.Error, FormatError) as error:
        raise Trouble(f"the child of an image said what it must not: {error}") from error


def _copy(text: str, size: tuple[int, int]) -> bytes:
    data = base64.b64decode(text, validate=True)
    layout = layout_of(data)
    if len(data) > MAX_COPY or layout.kind != "webp" or layout.frames != 1 or layout.pieces or (layout.width, layout.height) != size:
        raise ValueError("a copy is not what it must be")
    admitted(data)
    return data
