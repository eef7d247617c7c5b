"""Small pictures beside the rendered ones: made once, when first asked for, and kept in the same store. Never larger than the original.

Made here and not by the render worker: a shrunk picture costs some milliseconds, only what is looked at needs one, and a new width
needs no second rendering.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Protocol

from django.core.files.storage import storages
from PIL import Image

from inference.models import Picture
from registry import storage

WIDTHS = (450,)
"""Pixels. 450 is what programs of the Civitai API ask for; shown two or three abreast it is sharp on most screens."""
QUALITY = 84
MOST_PIXELS = 40_000_000
"""Above this nothing is decoded; the limits of renders lie far below."""


class Sized(Protocol):
    """A row of a picture, or what of it lists read."""

    @property
    def sha256(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


class NotAPicture(ValueError):
    """The stored bytes are not the picture that the row tells of: trouble of ours."""


def width_for(picture: Sized, wanted: int) -> int | None:
    """The least of `WIDTHS` that is wide enough; None for the original, where no small one is narrower than it."""
    fitting = [width for width in WIDTHS if width >= wanted and width < picture.width]
    return min(fitting, default=None)


def size_of(picture: Sized, width: int) -> tuple[int, int]:
    """(width, height) in pixels of the small picture."""
    return width, max(1, round(picture.height * width / picture.width))


def stored_name(picture: Picture, width: int) -> str:
    return f"{picture.stored_name.removesuffix('.png')}.w{width}.webp"


def ensure(picture: Picture, width: int) -> str:
    """The name of the small picture in the `media` store, which is made where it is missing.

    Raises `NotAPicture`, and OSError (or what S3's client raises) where the store has no such original.
    """
    name = stored_name(picture, width)
    if not storages["media"].exists(name):
        with storages["media"].open(picture.stored_name) as file:
            _keep(name, _shrunk(picture, file.read(), width))
    return name


def _shrunk(picture: Picture, png: bytes, width: int) -> bytes:
    target = io.BytesIO()
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as original:
            if original.size != (picture.width, picture.height) or picture.width * picture.height > MOST_PIXELS:
                raise NotAPicture(f"picture {picture.pk} is stored as {original.size}")
            small = original.convert("RGB").resize(size_of(picture, width), Image.Resampling.LANCZOS)
    except (SyntaxError, ValueError, OSError) as error:
        raise NotAPicture(f"picture {picture.pk} cannot be read: {error}") from error
    small.save(target, "WEBP", quality=QUALITY, method=4)
    return target.getvalue()


def _keep(name: str, data: bytes) -> None:
    """All or nothing: two requests may make the same one at once."""
    if storage.on_disk("media") is None:
        storage.bucket("media").upload_fileobj(io.BytesIO(data), name)
        return
    path = storage.path_of("media", name)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".small-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(partial).chmod(0o640)
        os.replace(partial, path)
    finally:
        Path(partial).unlink(missing_ok=True)
