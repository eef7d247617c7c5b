"""Pictures walked by their own structure to the last byte: PNG, JPEG, GIF, WebP. No pixel is decoded.

Layouts: PNG (ISO/IEC 15948), JPEG (ITU T.81 annex B), GIF89a, RIFF/WebP (RFC 9649).
"""

from __future__ import annotations

import re
import zlib

from registry.formats.cursor import Cursor
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.window import Window

MAX_PICTURE = 64 << 20
MAX_PARTS = 200_000
MAX_PICTURES = 16
"""JPEGs in one file; phones write up to four."""
MAX_BLOCKS = 1_000_000
"""Of a GIF; a block holds up to 255 bytes."""

EXTENSIONS: dict[str, frozenset[str]] = {
    "png": frozenset({"png"}),
    "jpeg": frozenset({"jpg", "jpeg", "jfif"}),
    "gif": frozenset({"gif"}),
    "webp": frozenset({"webp"}),
}
"""Type of picture -> the endings of names that say so."""

_PNG = b"\x89PNG\r\n\x1a\n"
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers without a length: TEM and the restarts."""
_ENDS_SCAN = re.compile(rb"\xff[^\x00\x01\xd0-\xd7]", re.DOTALL)


def picture_type(head: bytes) -> str:
    """Which picture the first bytes announce, or ""."""
    if head.startswith(_PNG):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    return "webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def check_picture(window: Window) -> str:
    """Walk the whole file; returns its type. Raises `FormatError` for bytes behind the picture's end ("I-TRAILING", or
    "I-PADDING" where they are what phones write there), else "I-PARSE"."""
    if window.size > MAX_PICTURE:
        raise LimitExceeded("I-LIMIT", f"The picture is larger than {MAX_PICTURE >> 20} MB.")
    cursor = Cursor(window)
    kind = picture_type(window.read(0, min(16, window.size)))
    walk = {"png": _walk_png, "jpeg": _walk_jpeg, "gif": _walk_gif, "webp": _walk_webp}.get(kind)
    if walk is None:
        raise _broken(0)
    walk(cursor)
    if cursor.left:
        raise _trailing(window, kind, cursor.position)
    return kind


def _trailing(window: Window, kind: str, offset: int) -> FormatError:
    """What phones put behind a photo (zeros, a film, notes of their own) is told apart from what could be anything."""
    rest = window.read(offset, window.size - offset)
    if not any(rest) or (kind == "jpeg" and (rest[4:8] == b"ftyp" or rest.endswith(b"SEFT"))):
        sentence = "There is padding or a film behind the end of the picture, as phones save it. Open the picture and save it again."
        return FormatError("I-PADDING", sentence, offset=offset)
    return FormatError("I-TRAILING", "There are bytes behind the end of the picture, where something hides.", offset=offset)


def _broken(offset: int) -> FormatError:
    return FormatError("I-PARSE", "The picture is damaged. Save it again.", offset=offset)


def _walk_png(cursor: Cursor) -> None:
    cursor.skip(8)
    kind = b""
    for number in range(MAX_PARTS):
        at = cursor.position
        length = int.from_bytes(cursor.take(4), "big")
        kind = cursor.take(4)
        data = cursor.take(length)
        if not kind.isalpha() or (kind == b"IHDR") != (number == 0) or zlib.crc32(data, zlib.crc32(kind)) != _checksum(cursor):
            raise _broken(at)
        if kind == b"IEND":
            if length:
                raise _broken(at)
            return
    raise LimitExceeded("I-LIMIT", "The picture has more parts than pictures have.")


def _checksum(cursor: Cursor) -> int:
    """The checksum behind a PNG chunk."""
    return int.from_bytes(cursor.take(4), "big")


def _walk_jpeg(cursor: Cursor) -> None:
    """One picture, or several behind each other where the first says so (CIPA DC-007: previews and depth of phones' photos)."""
    data = cursor.take(cursor.left)
    base = cursor.position - len(data)
    at, several = _walk_one_jpeg(data, base, 0)
    for _ in range(MAX_PICTURES - 1):
        if not several or not data.startswith(b"\xff\xd8\xff", at):
            break
        at, _ = _walk_one_jpeg(data, base, at)
    cursor.position = base + at


def _walk_one_jpeg(data: bytes, base: int, at: int) -> tuple[int, bool]:
    """(the place behind the picture that begins at `at`, whether it says that others follow); `base` is the file offset of `data`."""
    at += 2
    several = False
    for _ in range(MAX_PARTS):
        if at + 2 > len(data) or data[at] != 0xFF:
            raise _broken(base + at)
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        at += 2
        if marker == 0xD9:
            return at, several
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data) or marker in (0x00, 0xD8):
            raise _broken(base + at)
        several |= marker == 0xE2 and data.startswith(b"MPF\0", at + 2)
        at += length
        if marker == 0xDA:
            at = _behind_scan(data, at)
    raise LimitExceeded("I-LIMIT", "The picture has more parts than pictures have.")


def _behind_scan(data: bytes, at: int) -> int:
    """The position of the marker that ends the coded pixels from `at` on."""
    found = _ENDS_SCAN.search(data, at)
    if found is None:
        raise _broken(len(data))
    return found.start()


def _walk_gif(cursor: Cursor) -> None:
    cursor.skip(10)
    flags = cursor.number(1)
    cursor.skip(2 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    blocks = MAX_BLOCKS
    while blocks > 0:
        at = cursor.position
        kind = cursor.number(1)
        blocks -= 1
        if kind == 0x3B:
            return
        if kind == 0x2C:
            cursor.skip(8)
            flags = cursor.number(1)
            cursor.skip((3 << (flags & 7) + 1 if flags & 0x80 else 0) + 1)
        elif kind == 0x21:
            cursor.skip(1)
        else:
            raise _broken(at)
        while blocks > 0 and (size := cursor.number(1)):
            cursor.skip(size)
            blocks -= 1
    raise LimitExceeded("I-LIMIT", "The picture has more parts than pictures have.")


def _walk_webp(cursor: Cursor) -> None:
    cursor.skip(4)
    size = cursor.number(4)
    if size % 2 or size < 12 or size > cursor.left:
        raise _broken(4)
    end = cursor.position + size
    cursor.skip(4)
    for _ in range(MAX_PARTS):
        if cursor.position >= end:
            return
        at = cursor.position
        kind, length = cursor.take(4), cursor.number(4)
        if not kind.isascii() or not kind.decode("ascii").isprintable() or length + length % 2 > end - cursor.position:
            raise _broken(at)
        cursor.skip(length)
        if length % 2 and cursor.number(1):
            raise _broken(at)
    raise LimitExceeded("I-LIMIT", "The picture has more parts than pictures have.")
