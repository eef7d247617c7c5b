"""Writes one file through open descriptors: block by block past the page cache, hashed on the way, synced. It opens and names nothing."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from isal.isal_zlib import crc32

from registry.formats.hashes import Hasher, Hashes, settle
from registry.formats.reader import size_of

BLOCK = 4 << 20
BLOCKS = 4
"""Blocks in flight: one being filled while others are hashed and written, 16 MiB in all."""
WRITERS = 2
"""Blocks on their way to the disk at once. Measured past the page cache: one after another 2.4 GB/s, two at a time 3.9, four 3.5."""
CANNOT_RESERVE = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM})
"""File systems without reservations say so in different words; a locked process, whose filter knows no such call, says EPERM."""


@dataclass(frozen=True, slots=True)
class Section:
    """A run of the file that `Sink.begin` opened (a header, a tensor): its size in bytes and the CRC32 of what was handed over."""

    size: int
    crc: int


class Sink:
    """Writes `size` bytes, from the first on, into `fd` and, where it is given, `direct_fd` (see `newfile.NewFile`).

    Use as a context manager, so that its threads end; it closes neither descriptor. Nothing in it asks for a path, so it works in a
    process that can open nothing. Whole blocks go through `direct_fd` from threads of their own, from memory that is aligned as
    O_DIRECT wants it; the last one goes through `fd`. Where direct writing is refused, everything does.
    OSError (a full disk, above all) is raised by whichever call meets it; the space is asked for at the start.
    `hashes=False` leaves the hashing out: then `sync` ends it instead of `finish`. `landed` is told how many bytes, from the first on,
    lie on the disk: after blocks that went there directly, and at the end. It is called from writing threads, and from `sync`.
    """

    def __init__(
        self,
        fd: int,
        direct_fd: int | None,
        size: int,
        *,
        hashes: bool = True,
        block: int = BLOCK,
        blocks: int = BLOCKS,
        landed: Callable[[int], None] | None = None,
    ) -> None:
        self._fd, self._direct_fd, self._size, self._block_size = fd, direct_fd, size, block
        self._landed = landed or (lambda _: None)
        self._direct, self._prefix, self._lock = set[int](), 0, threading.Lock()
        _reserve(fd, size)
        self._free = deque(memoryview(mmap.mmap(-1, block)) for _ in range(blocks))
        self._busy: deque[tuple[memoryview, list[Future[None]]]] = deque()
        self._block, self._filled, self._offset = self._free.popleft(), 0, 0
        self._sections: list[Section] = []
        self._open, self._section_start, self._crc = False, 0, 0
        self._writer = ThreadPoolExecutor(WRITERS, thread_name_prefix="weights-write")
        self._hasher = Hasher() if hashes else None

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        if self._hasher is not None:
            self._hasher.close()
        self._writer.shutdown()

    @property
    def written(self) -> int:
        """Bytes handed over so far."""
        return self._offset + self._filled

    @property
    def sections(self) -> list[Section]:
        """What was written, by section; for `verify.Follow.check`. The last one is closed by `sync` and `finish`."""
        return self._sections

    def begin(self) -> None:
        """What is written from here on is a new section. What is written before the first call is one, too."""
        self._close_section()
        self._open, self._section_start, self._crc = True, self.written, 0

    def _close_section(self) -> None:
        if self._open or self.written > self._section_start:
            self._sections.append(Section(self.written - self._section_start, self._crc))
        self._open = False

    def write(self, data: bytes | memoryview, *, crc: int | None = None) -> None:
        """Adds bytes; they are copied, so the caller may reuse its memory at once.

        `crc`: the CRC32 of the section up to and with these bytes, from a caller that has it already.
        """
        view = memoryview(data).cast("B")
        self._crc = crc32(view, self._crc) if crc is None else crc
        while view:
            room = min(len(view), self._block_size - self._filled)
            self._block[self._filled : self._filled + room] = view[:room]
            self._filled += room
            view = view[room:]
            if self._filled == self._block_size:
                self._flush()

    def room(self, most: int) -> memoryview:
        """Memory for the next bytes, at most so many and never none: whoever fills it says so by `filled` and saves a copy."""
        return self._block[self._filled : min(self._filled + most, self._block_size)]

    def filled(self, size: int, crc: int) -> None:
        """The first `size` bytes of `room` are the next ones; `crc` is the CRC32 of the section up to and with them."""
        self._crc = crc
        self._filled += size
        if self._filled == self._block_size:
            self._flush()

    def _flush(self) -> None:
        view = self._block[: self._filled]
        futures = [self._writer.submit(self._write_block, view, self._offset)]
        if self._hasher is not None:
            futures += self._hasher.feed(view)
        self._busy.append((self._block, futures))
        self._offset += self._filled
        self._filled = 0
        if not self._free:
            block, done = self._busy.popleft()
            settle(done)
            self._free.append(block)
        self._block = self._free.popleft()

    def _write_block(self, view: memoryview, offset: int) -> None:
        start, direct_fd = offset, self._direct_fd
        if direct_fd is not None and len(view) == self._block_size:
            try:
                done = os.pwrite(direct_fd, view, offset)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._direct_fd, done = None, 0
            view, offset = view[done:], offset + done
            if not view:
                self._lies(start)
        while view:
            done = os.pwrite(self._fd, view, offset)
            view, offset = view[done:], offset + done

    def _lies(self, start: int) -> None:
        """The block from `start` on is on the disk; those before it may not be yet, and are waited for."""
        with self._lock:
            self._direct.add(start)
            while self._prefix in self._direct:
                self._direct.remove(self._prefix)
                self._prefix += self._block_size
            self._landed(self._prefix)

    def sync(self) -> None:
        """Everything on the disk. Nothing can be written afterwards. Raises ValueError if it is not as much as was announced."""
        self._close_section()
        if self.written != self._size:
            raise ValueError(f"{self.written} bytes were written where {self._size} were announced")
        if self._filled:
            self._flush()
        while self._busy:
            settle(self._busy.popleft()[1])
        if size_of(self._fd) != self._size:
            os.ftruncate(self._fd, self._size)
        os.fsync(self._fd)
        self._landed(self._size)

    def finish(self) -> Hashes:
        """`sync`, and the hashes of the file."""
        self.sync()
        if self._hasher is None:
            raise RuntimeError("this sink was made without hashes; end it by sync")
        return self._hasher.finish()


def _reserve(fd: int, size: int) -> None:
    """Asks for the space now, so that a full disk is known before an hour of work. Not every file system can."""
    if not size:
        return
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno not in CANNOT_RESERVE:
            raise
