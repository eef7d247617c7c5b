"""A tar archive of a few plain files, read by a strict grammar: no links, no folders, no other names than asked for. Unpacks nothing.

Layout: POSIX.1-1988 and old tar headers; before each file there may be one pax note with times and owners, as Python's tarfile writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.formats.errors import FormatError
from registry.formats.window import Window

BLOCK = 512
MAX_FILES = 8
MAX_TAIL = 1 << 20
"""Bytes of zeros behind the last file; tarfile fills up to 10 kB."""

_RECORD = re.compile(rb"(\d{1,4}) (mtime|atime|ctime|uid|gid|uname|gname)=([^\n=]{0,100})\n")
_OCTAL = re.compile(rb"[0-7]+[ \0]*|[ \0]*")


@dataclass(frozen=True, slots=True)
class TarFile:
    """One plain file: its name and the bytes [start, start + size) of the archive."""

    name: str
    start: int
    size: int


_NUMBERS = ((100, 108), (108, 116), (116, 124), (124, 136), (136, 148), (329, 337), (337, 345))
"""Where a header holds numbers beside its checksum; tarfile refuses the block when one of them is none."""


def is_tar(head: bytes) -> bool:
    """Whether Python's tarfile takes the first block: the checksum decides, "ustar" is not needed.

    torch.load tries tar before anything else that is not a zip, so a pickle that is also a tar would be read as the latter.
    """
    if len(head) < BLOCK:
        return False
    try:
        stated = _number(head[148:156])
        for begin, end in _NUMBERS:
            _number(head[begin:end])
    except ValueError:
        return False
    others = head[:148] + head[156:BLOCK]
    return stated in (256 + sum(others), 256 + sum(byte - 256 if byte > 127 else byte for byte in others))


def _number(field: bytes) -> int:
    """A number as tarfile's `nti` takes it: octal text, or base 256 behind a mark, also below zero. Raises `ValueError`."""
    if field[0] in (0o200, 0o377):
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == 0o200 else value - 256 ** (len(field) - 1)
    return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)


def read_tar(window: Window) -> dict[str, TarFile]:
    """Every file by its name, after each byte of the archive was accounted for. Raises `FormatError` "A-LAYOUT"."""
    files: dict[str, TarFile] = {}
    at = 0
    noted = False
    while any(block := window.read(at, BLOCK)):
        if len(files) >= MAX_FILES:
            raise _odd("holds more files than expected", at)
        name, kind, size = _header(block, at)
        start, at = at + BLOCK, at + BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
        if any(window.read(start + size, at - start - size)):
            raise _odd("hides data in its padding", start + size)
        if kind == b"x":
            if noted or size > 8 * BLOCK:
                raise _odd("has a note that is out of place", start)
            _check_note(window.read(start, size), start)
            noted = True
            continue
        noted = False
        if name in files:
            raise _odd("has two files of one name", start)
        files[name] = TarFile(name, start, size)
    _check_tail(window, at, noted)
    return files


def _odd(what: str, offset: int) -> FormatError:
    return FormatError("A-LAYOUT", f"The tar archive {what}.", offset=offset)


def _header(block: bytes, at: int) -> tuple[str, bytes, int]:
    """(name, type, size) of one header block: a plain file, or a pax note."""
    kind = block[156:157]
    fields = {place: block[place[0] : place[1]] for place in ((100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345))}
    if not is_tar(block) or not all(_OCTAL.fullmatch(value) for value in fields.values()):
        raise _odd("has a header that does not hold", at)
    if kind not in (b"0", b"\0", b"x") or any(block[157:257]):
        raise _odd("holds a link or something else than a plain file", at)
    if block[257:265] not in (b"ustar\x0000", b"ustar  \0", bytes(8)) or any(block[345:]):
        raise _odd("has a header of an unusual form", at)
    name, _, rest = block[:100].partition(b"\0")
    size = re.fullmatch(rb"([0-7]{1,11})[ \0]+", block[124:136])
    if any(rest) or size is None or not re.fullmatch(rb"[A-Za-z0-9_./@ -]+", name):
        raise _odd("has a name or a size that is not plain", at)
    for owner in (block[265:297], block[297:329]):
        if any(owner.partition(b"\0")[2]) or not owner.partition(b"\0")[0].isascii():
            raise _odd("has an owner that is not plain", at)
    return name.decode("ascii"), kind, int(size[1], 8)


def _check_note(note: bytes, offset: int) -> None:
    """Only times and owners: a pax note can also replace a name or a size, and readers differ on that."""
    at = 0
    while at < len(note):
        match = _RECORD.match(note, at)
        if match is None or int(match[1]) != len(match[0]) or not match[3].isascii():
            raise _odd("has a note that says more than times and owners", offset)
        at = match.end()


def _check_tail(window: Window, at: int, noted: bool) -> None:
    """Two blocks of zeros end an archive; what follows may only be more of them."""
    left = window.size - at
    if noted or left < 2 * BLOCK or left > MAX_TAIL or left % BLOCK or any(window.read(at, left)):
        raise _odd("does not end as archives end", at)
