"""What bytes are read through by offset: an open file here, a stored object or another process elsewhere. It parses and caches nothing."""

from __future__ import annotations

import os
from typing import Protocol, runtime_checkable

from registry.formats.errors import FormatError


@runtime_checkable
class Reader(Protocol):
    """`size` bytes that do not change, any of which may be asked for.

    `read_into` fills all of `view` from `offset` on. It raises FormatError "F-TRUNCATED" where the bytes end before that, and OSError
    where they cannot be had. One call at a time.
    """

    size: int

    def read_into(self, offset: int, view: memoryview) -> None: ...


class FileReader:
    """A `Reader` of an open descriptor of a regular file, whose position it leaves alone. It closes nothing."""

    __slots__ = ("_fd", "size")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def fileno(self) -> int:
        """The descriptor, for those who can do more with it."""
        return self._fd

    def read_into(self, offset: int, view: memoryview) -> None:
        while view:
            got = os.preadv(self._fd, [view], offset)
            if not got:
                raise cut_short(offset)
            view, offset = view[got:], offset + got


def cut_short(offset: int) -> FormatError:
    """What a `Reader` raises when it is asked for bytes behind its end."""
    return FormatError("F-TRUNCATED", "The file ends before its own structure says it should; upload it again.", offset=offset)
