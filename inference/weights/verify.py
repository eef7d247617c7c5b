"""The finished file, read back from the disk and held against what was meant to be in it. It repairs nothing: a difference is our bug.

What casts did to the values is measured where they are made (`cast`); here every byte is compared, by the CRC32 of each section.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from isal.isal_zlib import crc32

from inference.weights.plan import Planned
from inference.weights.sink import Section
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.reader import size_of
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window

BLOCK = 2 << 20
READERS = 3
"""Reads in flight: one at a time, a disk that is read directly waits for every order."""


class WrongOutput(Exception):
    """The converter wrote something other than it meant to. Never the uploader's fault."""


def reread(
    fd: int,
    direct_fd: int | None,
    header: bytes,
    sections: list[Section],
    tensors: list[Planned],
    tell: Callable[[int], None] | None = None,
) -> None:
    """Reads a synced file past the page cache, where that can be, and compares it: its header byte for byte with `header` and by the
    strict reader with `tensors`, what follows with `sections` (the header's own is the first of these).

    `tell` gets the bytes compared, the header's aside. Needs no path, and changes nothing. Raises WrongOutput.
    """
    size = sum(section.size for section in sections)
    if size_of(fd) != size or sections[0].size != len(header):
        raise WrongOutput("the file is not as long as what was written")
    names = ["the header", *(item.name for item in tensors)]
    with contextlib.suppress(OSError):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    with contextlib.closing(_blocks(fd, direct_fd, size)) as blocks:
        _compare(blocks, header, sections, names, tell or (lambda _: None))
    try:
        found = read_safetensors(Window(fd))
    except FormatError as error:
        raise WrongOutput(f"the file written is refused by our own reader: {error}") from error
    _check_table(found, tensors)


def _compare(blocks: Iterator[memoryview], header: bytes, sections: list[Section], names: list[str], tell: Callable[[int], None]) -> None:
    at, number, left, crc = 0, 0, sections[0].size, 0
    for block in blocks:
        if at < len(header) and block[: len(header) - at].tobytes() != header[at : at + len(block)]:
            raise WrongOutput("the header read back is not the header that was planned")
        tell(len(block) - max(0, min(len(header) - at, len(block))))
        at += len(block)
        while block:
            part = block[:left]
            crc, left, block = crc32(part, crc), left - len(part), block[len(part) :]
            while left == 0 and number < len(sections):
                if crc != sections[number].crc:
                    raise WrongOutput(f"{names[number]} read back is not what was written")
                number += 1
                left, crc = (sections[number].size if number < len(sections) else 0), 0
    if number < len(sections):
        raise WrongOutput("the file ended early")


def _blocks(fd: int, direct_fd: int | None, size: int) -> Generator[memoryview]:
    """The file in order, read ahead by `READERS` threads. A block is valid until the next is asked for."""
    free = deque(memoryview(mmap.mmap(-1, BLOCK)) for _ in range(READERS + 1))
    coming: deque[tuple[memoryview, int, Future[None]]] = deque()
    starts = iter(range(0, size, BLOCK))
    with ThreadPoolExecutor(READERS, thread_name_prefix="weights-reread") as pool:

        def order() -> None:
            start = next(starts, None)
            if start is not None:
                block, wanted = free.popleft(), min(BLOCK, size - start)
                coming.append((block, wanted, pool.submit(_read, fd, direct_fd, block, start, wanted)))

        for _ in range(READERS):
            order()
        while coming:
            block, wanted, done = coming.popleft()
            order()
            done.result()
            yield block[:wanted]
            free.append(block)


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
