"""Images that people attached, for tests: rows with real bytes, received or already shown."""

from __future__ import annotations

import base64
from typing import Any

from hub import imagepixels
from hub.imagedoor import admitted
from hub.imagemeta import of_bytes
from registry import images, imagestore
from registry.imagesizes import WIDTHS
from registry.lifecycle import ImageState
from registry.models import UserImage
from tests import toolimages


def attached(user: Any, version: Any, data: bytes | None = None, *, rating: int = 1) -> UserImage:
    """An image as the form attaches it; by default a small A1111 PNG."""
    data = toolimages.png({"parameters": toolimages.A1111}) if data is None else data
    layout = admitted(data)
    return images.attach(user, version, data, name="shore.png", kind=layout.kind, size=(layout.width, layout.height), rating=rating)


def shown(user: Any, version: Any, data: bytes | None = None, *, rating: int = 1) -> UserImage:
    """An image that went through a worker: decoded here, in this process, to be quick."""
    image = attached(user, version, data, rating=rating)
    original = imagestore.original(image.file)
    made = imagepixels.made(original)
    for width, copy in zip(WIDTHS, made["copies"], strict=True):
        imagestore.place(image.file.shown_name(width), base64.b64decode(copy))
    meta = of_bytes(original).to_json()
    workflow = meta.pop("workflow") or ""
    UserImage.objects.filter(pk=image.pk).update(state=ImageState.CHECKING, turn=image.turn)
    image.refresh_from_db()
    found = {"width": made["width"], "height": made["height"], "blurhash": made["blurhash"], "tool": meta["tool"]}
    images.accept(image, **found, meta=meta, workflow=workflow)
    image.refresh_from_db()
    return image
