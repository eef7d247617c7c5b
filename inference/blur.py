"""BlurHash of a picture: some thirty characters that a page or a program turns into a blurred stand-in while the picture loads."""

from __future__ import annotations

import io

import blurhash
from PIL import Image

COMPONENTS = (4, 3)
"""Across and down, as Civitai's are: 28 characters."""
SIDE = 32
"""Pixels that are enough for so few components."""
MOST_PIXELS = 40_000_000


def blur_of(png: bytes) -> str:
    """The BlurHash of a PNG; "" for bytes that are no picture or one beyond `MOST_PIXELS`: nothing fails for want of it."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                return ""
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    rows = [[small.getpixel((x, y)) for x in range(SIDE)] for y in range(SIDE)]
    return str(blurhash.encode(rows, *COMPONENTS))
