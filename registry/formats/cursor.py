"""Reads a window from front to back through a buffer: for formats whose parts follow one another. Not for random access."""

from __future__ import annotations

import struct

from registry.formats.errors import FormatError
from registry.formats.window import Window

CHUNK = 256 << 10


class Cursor:
    """A position in `window`, never beyond `end` (bytes from the window's start)."""

    __slots__ = ("_base", "_buffer", "_window", "end", "position")

    def __init__(self, window: Window, start: int = 0, end: int | None = None) -> None:
        self._window = window
        self._buffer = b""
        self._base = start
        self.position = start
        self.end = window.size if end is None else end

    def take(self, count: int) -> bytes:
        """The next `count` bytes; raises `FormatError` "F-TRUNCATED" beyond the end."""
        at = self.position - self._base
        if at < 0 or at + count > len(self._buffer):
            self._check(count)
            self._buffer = self._window.read(self.position, min(max(count, CHUNK), self.end - self.position))
            self._base, at = self.position, 0
        self._check(count)
        self.position += count
        return self._buffer[at : at + count]

    def skip(self, count: int) -> None:
        """Pass over `count` bytes unread."""
        self._check(count)
        self.position += count

    def skip_sized(self, count: int, bound: int) -> int:
        """Pass over `count` runs that each begin with their length in 8 bytes; how many were longer than `bound` bytes.

        The same as `number` and `skip` in turn, for the hundred thousands of texts in a vocabulary.
        """
        longer = 0
        data, at = b"", 0
        for _ in range(count):
            if at + 8 > len(data):
                self.skip(at)
                data, at = self._window.read(self.position, min(CHUNK, self.left)), 0
                if len(data) < 8:
                    self._check(8)
            length = int.from_bytes(data[at : at + 8], "little")
            longer += length > bound
            at += 8 + length
        self.skip(at)
        return longer

    def number(self, width: int) -> int:
        """The next `width` bytes as an unsigned little-endian number."""
        return int.from_bytes(self.take(width), "little")

    def unpack(self, layout: str) -> tuple[int, ...]:
        """The next fields by `struct`'s layout."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    @property
    def left(self) -> int:
        return self.end - self.position

    def _check(self, count: int) -> None:
        if count < 0 or count > self.end - self.position:
            raise FormatError("F-TRUNCATED", "The file states a length beyond its end; upload the whole file.", offset=self.position)
