"""How large the copies are that pages show of an image: for the process that makes them and for the one that checks it."""

from __future__ import annotations

WIDTHS = (450, 1600)
"""Pixels across of the copies: in a gallery, and alone."""
TALLEST = 3
"""Times its width that a copy is high at most; a taller image becomes narrower."""


def shown_size(width: int, height: int, wanted: int) -> tuple[int, int]:
    """(width, height) in pixels of the copy of an image for a width of `WIDTHS`; never larger than the image."""
    scale = min(1.0, wanted / width, TALLEST * wanted / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
