"""EXIF's UserComment out of a JPEG, WebP or AVIF. It reads no other field, and decodes no text and no pixel.

How much Pillow's reader of EXIF copies where many entries point to one place is a matter of its version, and it asks EXIF for a resolution
when it opens a JPEG. So the directories, which are TIFF's (CIPA DC-008, 4.6), are walked here, a bounded number of entries and without
copies, and so are the pieces of JPEG (ITU-T T.81, B.1.1) and WebP (RFC 9649).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Literal

from PIL import Image

EXIF_IFD, USER_COMMENT = 0x8769, 0x9286
MAX_ENTRIES = 500
MAX_BLOCK = 4 << 20
"""Bytes of an EXIF block: a text of the length that PNGs may have is half of it in UTF-16."""
TEXTUAL = (1, 2, 7)
"""TIFF's types of one byte each: BYTE, ASCII, UNDEFINED."""
ALONE = {0x01, *range(0xD0, 0xD9)}
"""JPEG's markers without a length."""
PIXELS, END, APP1 = 0xDA, 0xD9, 0xE1
MARK = b"Exif\0\0"


def comment_of(picture: bytes, longest: int) -> bytes | None:
    """The comment with its eight bytes of character code; None where there is none, or one of more than `longest` bytes.

    Raises ValueError for what is no such picture, and for an AVIF whatever Pillow raises.
    """
    block = _block(picture)
    if block is None or len(block) > MAX_BLOCK or block[:4] not in (b"II*\0", b"MM\0*"):
        return None
    order: Literal["little", "big"] = "big" if block[:2] == b"MM" else "little"
    first = int.from_bytes(block[4:8], order)
    for tag, _, _, place in _entries(block, first, order):
        if tag == EXIF_IFD:
            second = int.from_bytes(block[place : place + 4], order)
            found = (entry for entry in _entries(block, second, order) if entry[0] == USER_COMMENT and entry[1] in TEXTUAL)
            return next((block[at : at + count] for *_, count, at in found if 0 < count <= longest and at + count <= len(block)), None)
    return None


def _entries(block: bytes, at: int, order: Literal["little", "big"]) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, count, where its value lies) of one directory."""
    count = min(int.from_bytes(block[at : at + 2], order), MAX_ENTRIES)
    for place in range(at + 2, min(at + 2 + 12 * count, len(block) - 11), 12):
        tag, kind = (int.from_bytes(block[place + shift : place + shift + 2], order) for shift in (0, 2))
        length = int.from_bytes(block[place + 4 : place + 8], order)
        small = kind in (3, 4) or (length <= 4 and kind in TEXTUAL)
        yield tag, kind, length, place + 8 if small else int.from_bytes(block[place + 8 : place + 12], order)


def _block(picture: bytes) -> bytes | None:
    if picture.startswith(b"\xff\xd8"):
        return _of_jpeg(picture)
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return _of_webp(picture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large pictures; no pixel is decoded here
        with Image.open(io.BytesIO(picture), formats=("AVIF",)) as opened:
            block = opened.info.get("exif")
    return _bare(block) if isinstance(block, bytes) else None


def _of_jpeg(picture: bytes) -> bytes | None:
    """The first block of the segments before the pixels."""
    at = 2
    while at + 4 <= len(picture):
        if picture[at] != 0xFF:
            raise ValueError("a JPEG's segment begins with no marker")
        marker = picture[at + 1]
        if marker in (PIXELS, END):
            return None
        if marker == 0xFF or marker in ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(picture[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(picture):
            raise ValueError("a JPEG's segment ends outside of it")
        if marker == APP1 and picture.startswith(MARK, at + 4):
            return picture[at + 4 + len(MARK) : at + 2 + length]
        at += 2 + length
    raise ValueError("the JPEG has no pixels")


def _of_webp(picture: bytes) -> bytes | None:
    at = 12
    while at + 8 <= len(picture):
        length = int.from_bytes(picture[at + 4 : at + 8], "little")
        if at + 8 + length > len(picture):
            raise ValueError("a WebP's chunk ends outside of it")
        if picture[at : at + 4] == b"EXIF":
            return _bare(picture[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return None


def _bare(block: bytes) -> bytes:
    return block.removeprefix(MARK)
