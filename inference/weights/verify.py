"""The finished file, read back from the disk and held against what was meant to be in it. It repairs nothing: a difference is our bug.

What casts did to the values is measured where they are made (`cast`); here every byte is compared, by the CRC32 of each section. Reading
may follow the writing at a distance, so that it costs no time where hashing sets the pace.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from isal.isal_zlib import crc32

from inference.weights.plan import Planned
from inference.weights.sink import Section
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.reader import size_of
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window

BLOCK = 2 << 20
"""Bytes of one read: fewer, and handing reads from thread to thread costs as much as the checksum."""
READERS = 3
"""Reads in flight: one at a time, a disk that is read directly waits for every order."""


class WrongOutput(Exception):
    """The converter wrote something other than it meant to. Never the uploader's fault."""


class Follow:
    """Reads a file past the page cache, where that can be, behind whoever writes it, and takes the CRC32 of each of its sections.

    `sizes` are the sections' bytes, known before the first is written. `reached` is told how much lies on the disk (`Sink`'s `landed`).
    Needs no path and changes nothing; use as a context manager, so that its threads end. `done` counts the bytes read so far.
    """

    def __init__(self, fd: int, direct_fd: int | None, sizes: list[int]) -> None:
        self._fd, self._direct_fd, self._sizes, self._total = fd, direct_fd, sizes, sum(sizes)
        self._landed, self._given_up, self.done = 0, False, 0
        self._news = threading.Condition()
        self._pool = ThreadPoolExecutor(1 + READERS, thread_name_prefix="weights-follow")
        self._crcs: Future[list[int]] = self._pool.submit(self._walk)

    def __enter__(self) -> Follow:
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._given_up = True
            self._news.notify_all()
        self._pool.shutdown()

    def reached(self, offset: int) -> None:
        """The first `offset` bytes are on the disk, and stay as they are."""
        if offset >= self._total:
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        with self._news:
            self._landed = max(self._landed, offset)
            self._news.notify_all()

    def ended(self, seconds: float) -> bool:
        """Waits so long at most; whether everything is read."""
        return bool(wait([self._crcs], seconds).done)

    def check(self, header: bytes, sections: list[Section], tensors: list[Planned]) -> None:
        """Waits for the end and compares: the header byte for byte with `header` and by the strict reader with `tensors`, each section
        with what was handed over. Raises WrongOutput.
        """
        if size_of(self._fd) != self._total or [section.size for section in sections] != self._sizes:
            raise WrongOutput("the file is not as long as what was written")
        names = ["the header", *(item.name for item in tensors)]
        for name, section, crc in zip(names, sections, self._crcs.result(), strict=True):
            if section.crc != crc:
                raise WrongOutput(f"{name} read back is not what was written")
        window = Window(self._fd)
        if window.read(0, len(header)) != header:
            raise WrongOutput("the header read back is not the header that was planned")
        try:
            found = read_safetensors(window)
        except FormatError as error:
            raise WrongOutput(f"the file written is refused by our own reader: {error}") from error
        _check_table(found, tensors)

    def _walk(self) -> list[int]:
        with contextlib.closing(self._blocks()) as blocks:
            return _fold(blocks, self._sizes)

    def _wait_for(self, end: int) -> bool:
        with self._news:
            self._news.wait_for(lambda: self._given_up or self._landed >= end)
            return not self._given_up

    def _blocks(self) -> Generator[memoryview]:
        """The file in order, `READERS` blocks ahead. A block is valid until the next is asked for."""
        free = deque(memoryview(mmap.mmap(-1, BLOCK)) for _ in range(READERS + 1))
        coming: deque[tuple[memoryview, int, Future[None]]] = deque()
        starts = iter(range(0, self._total, BLOCK))

        def order() -> None:
            start = next(starts, None)
            if start is not None and self._wait_for(min(start + BLOCK, self._total)):
                block, wanted = free.popleft(), min(BLOCK, self._total - start)
                coming.append((block, wanted, self._pool.submit(_read, self._fd, self._direct_fd, block, start, wanted)))

        for _ in range(READERS):
            order()
        while coming:
            block, wanted, read = coming.popleft()
            order()
            read.result()
            yield block[:wanted]
            self.done += wanted
            free.append(block)


def _fold(blocks: Iterable[memoryview], sizes: list[int]) -> list[int]:
    """The CRC32 of each section of a stream; sections may be empty."""
    crcs: list[int] = []
    crc = used = 0
    for block in blocks:
        while True:
            while len(crcs) < len(sizes) and used == sizes[len(crcs)]:
                crcs.append(crc)
                crc = used = 0
            if not block:
                break
            part = block[: sizes[len(crcs)] - used]
            crc, used, block = crc32(part, crc), used + len(part), block[len(part) :]
    return crcs


def _read(fd: int, direct_fd: int | None, block: memoryview, start: int, wanted: int) -> None:
    """Fills the first `wanted` bytes of `block`. Direct reads ask for whole blocks, and get what there is."""
    got = 0
    if direct_fd is not None:
        with contextlib.suppress(OSError):
            got = os.preadv(direct_fd, [block], start)
    while got < wanted:
        more = os.preadv(fd, [block[got:wanted]], start + got)
        if not more:
            raise WrongOutput("the file became shorter while it was read back")
        got += more


def _check_table(directory: TensorDirectory, tensors: list[Planned]) -> None:
    found = [(entry.path, entry.dtype, entry.shape) for entry in directory.tensors]
    if found != [((item.name,), item.dtype, item.entry.shape) for item in tensors]:
        raise WrongOutput("the tensors read back are not those that were planned")
