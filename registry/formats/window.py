"""Exact random-access reads of an untrusted file: of a descriptor, a binary file object or a `Reader`. Not a parser and not a cache.

A read past the end is the file's fault and becomes a `FormatError`; a failing disk stays an `OSError`.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from registry.formats.errors import FormatError
from registry.formats.reader import Reader, size_of


class Window:
    """A read-only view of a whole file that never moves the descriptor's own position, so a parent process may share it.

    `source` is an open descriptor of a regular file, a `Reader` (of a stored object, say), or a seekable binary file object, whose
    position does move.
    """

    __slots__ = ("_reader", "_source", "size")

    def __init__(self, source: int | BinaryIO | Reader) -> None:
        self._reader: Reader | None = None
        self._source: int | BinaryIO = -1
        if isinstance(source, Reader):
            self._reader, self.size = source, source.size
            return
        self._source = source
        if isinstance(source, int):
            self.size = size_of(source)
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
        if self._reader is not None:
            data = bytearray(count)
            self._reader.read_into(offset, memoryview(data))
            return bytes(data)
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
