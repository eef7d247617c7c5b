"""Looks at the form of an image before anything is kept: kind, size, pixels, frames, and that it is whole. Decodes nothing."""

from __future__ import annotations

import io

from hub.imagemeta import MAX_BYTES, Layout, layout_of
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.pictures import check_picture
from registry.formats.window import Window

MAX_PIXELS = 40_000_000
MAX_SIDE = 16_383
"""Pixels: the most that a WebP can have, as its copies are."""


def admitted(data: bytes) -> Layout:
    """Raises FormatError, in words for its uploader, for what is not one whole still PNG, JPEG or WebP of a sane size."""
    if not data:
        raise FormatError("image:empty", "The file is empty.")
    if len(data) > MAX_BYTES:
        raise LimitExceeded("image:size", f"The image is larger than {MAX_BYTES >> 20} MB. Attach a smaller one.")
    layout = layout_of(data)
    if layout.frames > 1:
        raise FormatError("image:moving", "This is a moving picture. Attach a still image.")
    if layout.pixels > MAX_PIXELS or max(layout.width, layout.height) > MAX_SIDE:
        told = f"{layout.width:,} x {layout.height:,}"
        raise LimitExceeded("image:pixels", f"The image has {told} pixels; up to 40 million, and {MAX_SIDE:,} a side, are taken.")
    check_picture(Window(io.BytesIO(data)))
    return layout
