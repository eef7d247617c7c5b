"""Exact random-access reads of an untrusted file, from an open descriptor or a binary file object. Not a parser and not a cache.

A read past the end is the file's fault and becomes a `FormatError`; a failing disk stays an `OSError`.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from registry.formats.errors import FormatError


class Window:
    """A read-only view of a whole file that never moves the descriptor's own position, so a parent process may share it.

    `source` is an open descriptor of a regular file, or a seekable binary file object (its position does move).
    """

    __slots__ = ("_source", "size")

    def __init__(self, source: int | BinaryIO) -> None:
        self._source = source
        if isinstance(source, int):
            self.size = os.fstat(source).st_size
        else:
            self.size = source.seek(0, os.SEEK_END)

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset`; raises `FormatError` "F-TRUNCATED" where the file has fewer."""
        if offset < 0 or count < 0 or offset + count > self.size:
            raise FormatError("F-TRUNCATED", "The file ends before its own structure says it should; upload it again.", offset=offset)
        data = self._read(offset, count)
        if len(data) != count:
            raise FormatError("F-TRUNCATED", "The file became shorter while it was read; upload it again.", offset=offset)
        return data

    def part(self, start: int, size: int) -> Window:
        """The `size` bytes from `start` on as a window of their own; raises `FormatError` "F-TRUNCATED" where they are not there."""
        if start < 0 or size < 0 or start + size > self.size:
            raise FormatError("F-TRUNCATED", "The file ends before its own structure says it should; upload it again.", offset=start)
        return _Part(self, start, size)

    def _read(self, offset: int, count: int) -> bytes:
        source = self._source
        if not isinstance(source, int):
            source.seek(offset)
            return source.read(count)
        parts: list[bytes] = []
        while count:
            part = os.pread(source, count, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _Part(Window):
    """A run of bytes of another window, with offsets of its own."""

    __slots__ = ("_start", "_whole")

    def __init__(self, whole: Window, start: int, size: int) -> None:
        self._whole = whole
        self._start = start
        self.size = size

    def _read(self, offset: int, count: int) -> bytes:
        return self._whole.read(self._start + offset, count)
