"""The raw tail of a checkpoint written before torch 1.6: sizes and bytes of storages behind five pickles. It reads no pickle.

Layout: torch/serialization.py `_legacy_save` (2.13): for each key an int64 element count, then the elements, to the end of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from registry.formats.directory import Storage
from registry.formats.errors import FormatError
from registry.formats.window import Window

MAGIC = 0x1950A86A20F9469CFC6C
"""The value of the first pickle."""

PROTOCOL = 1001
"""The value of the second pickle."""


def read_storages(window: Window, start: int, wanted: Iterable[tuple[str, int, int]]) -> tuple[Storage, ...]:
    """Where the storages lie, in file order, from `start` (the end of the last pickle).

    `wanted` gives (key, elements, bytes per element) as the pickles state them. Raises `FormatError` "L-SIZE" where a count
    disagrees and "L-TRAILING" where bytes remain.
    """
    storages: list[Storage] = []
    at = start
    for key, count, itemsize in wanted:
        (stated,) = struct.unpack("<q", window.read(at, 8))
        if stated != count:
            raise FormatError("L-SIZE", "A storage has another length than the checkpoint says.", where=key, offset=at)
        if at + 8 + count * itemsize > window.size:
            raise FormatError("F-TRUNCATED", "The checkpoint ends before its last storage; upload the whole file.", offset=at)
        storages.append(Storage(key, at + 8, count * itemsize))
        at += 8 + count * itemsize
    if at != window.size:
        raise FormatError("L-TRAILING", "There are bytes behind the last storage that belong to nothing.", offset=at)
    return tuple(storages)
