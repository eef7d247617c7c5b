"""Constructed weight files for pages and APIs that need a real file but no pictures, built once a run; `samples/build.py` makes them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from samples.build import FILES


@cache
def constructed_bytes(name: str) -> bytes:
    """The bytes of one of the constructed files, by its name in `samples.build.FILES`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        FILES[name](path)
        return path.read_bytes()
