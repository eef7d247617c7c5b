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
        self.size = size_of(fd)

    def fileno(self) -> int:
        """The descriptor, for those who can do more with it."""
        return self._fd

    def read_into(self, offset: int, view: memoryview) -> None:
        while view:
            got = os.preadv(self._fd, [view], offset)
            if not got:
                raise cut_short(offset)
            view, offset = view[got:], offset + got


def size_of(fd: int) -> int:
    """Bytes of an open regular file, its position left where it was. By seeking: glibc asks for an open file's status as if by its path,
    which no locked process may do (2.33 to 2.38 call newfstatat).
    """
    place = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        return os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.lseek(fd, place, os.SEEK_SET)


def cut_short(offset: int) -> FormatError:
    """What a `Reader` raises when it is asked for bytes behind its end."""
    return FormatError("F-TRUNCATED", "The file ends before its own structure says it should; upload it again.", offset=offset)
