"""Takes the pickles out of a checkpoint as bytes, for other scanners to read. It judges nothing and follows no pickle.

A zip is read by our own strict reader, so peers see the very bytes that we judged. In old-format files only the pickles in front
of the raw numbers are taken.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintar import is_tar, read_tar
from registry.formats.strictzip import STORED, Archive, Member, read_archive
from registry.formats.torchlegacy import MAGIC
from registry.formats.torchzip import holds_numbers
from registry.formats.window import Window
from scanner.pickles.limits import LIMITS
from scanner.pickles.opcodes import OPCODES, Stream

MAX_BYTES = LIMITS.pickle
"""Of all pickles of a file together: as much as our own limit for one."""

LEGACY_STREAMS = 5
_NAME = re.compile(r".*\.(pkl|pickle|pt|pth|ckpt|bin|zip)", re.IGNORECASE | re.DOTALL)
_LEGACY_MARK = MAGIC.to_bytes(10, "little")


def pickles_of(window: Window) -> list[bytes]:
    """Every pickle stream of the file, in order; [] where it holds none.

    Raises `LimitExceeded` "O-LARGE" above `MAX_BYTES`, and `FormatError` where an archive cannot be read strictly.
    """
    found: list[bytes] = []
    left = MAX_BYTES
    for stream in _walk(window, LIMITS.archives):
        left -= len(stream)
        if left < 0 or len(found) >= LIMITS.streams:
            raise _too_large()
        found.append(stream)
    return found


def _too_large() -> LimitExceeded:
    return LimitExceeded("O-LARGE", "The pickles of this file are too large for a second opinion.")


def _walk(window: Window, depth: int) -> Iterator[bytes]:
    head = window.read(0, min(512, window.size))
    if head.startswith(b"PK\3\4"):
        archive = read_archive(window)
        for member in archive.members if depth >= 0 else ():
            yield from _member(archive, member, depth)
    elif is_tar(head):
        yield from _tar(window)
    else:
        yield from _streams(window)


def _member(archive: Archive, member: Member, depth: int) -> Iterator[bytes]:
    """The pickles of one part: a torch zip's `data.pkl`, or what a bundle carries; the raw numbers of `data/<n>` are none."""
    if holds_numbers(member.name) or member.size == 0:
        return
    stored = member.method == STORED
    start = archive.window.read(member.data, min(2, member.packed)) if stored else b""
    if not _NAME.fullmatch(member.name) and start != b"PK" and not (start[:1] == b"\x80" and start[1:] <= b"\5"):
        return
    if not stored and member.size > MAX_BYTES:
        raise _too_large()
    unpacked = archive.window.part(member.data, member.size) if stored else Window(io.BytesIO(archive.read(member, MAX_BYTES)))
    yield from _walk(unpacked, depth - 1)


def _tar(window: Window) -> Iterator[bytes]:
    """The oldest torch checkpoints: what stands in front of the raw numbers in each of their four parts."""
    for part in read_tar(window).values():
        yield from _streams(window.part(part.start, part.size))


def _streams(window: Window) -> Iterator[bytes]:
    """Complete pickles from the start on, up to the first byte that is none; a broken first one as it stands.

    Five of them where the first is the mark of an old-format checkpoint, because raw numbers follow.
    """
    at, most = 0, LIMITS.streams
    for number in range(LIMITS.streams):
        if at >= window.size or number >= most:
            return
        try:
            end = _end_of(window, at)
        except FormatError:
            if number == 0 and window.size > MAX_BYTES:
                raise _too_large() from None
            if number == 0:
                yield window.read(0, window.size)
            return
        data = window.read(at, end - at)
        if number == 0 and _LEGACY_MARK in data:
            most = LEGACY_STREAMS
        yield data
        at = end


def _end_of(window: Window, start: int) -> int:
    """The offset behind the STOP of the pickle at `start`."""
    stream = Stream(window, start)
    while True:
        entry = OPCODES.get(stream.byte())
        if entry is None:
            raise FormatError("P-PARSE", "This is not a pickle.", offset=stream.position)
        name, reader = entry
        if reader is not None:
            reader(stream)
        if name == "STOP":
            return stream.position
