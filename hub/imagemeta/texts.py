"""Turns the pieces of a picture into named texts: unpacks PNG's, reads the EXIF fields and the XMP field where tools write.

What the texts mean is not known here.

EXIF is TIFF (CIPA DC-008). It is read here and not by Pillow, whose reader copies what every entry points to: 64 kB of entries that all
point to the same place would become 300 MB.
"""

from __future__ import annotations

import html
import zlib
from collections.abc import Iterator
from typing import Literal

from hub.imagemeta.layout import Layout

MAX_TEXT = 2 << 20
"""Bytes of one text, unpacked. Workflows of ComfyUI have a few hundred kB."""
MAX_TEXTS = 6 << 20
"""Bytes of all texts together."""
MAX_ENTRIES = 500

DESCRIPTION, MAKE, MODEL, EXIF_IFD, USER_COMMENT = 0x010E, 0x010F, 0x0110, 0x8769, 0x9286
NAMES = {DESCRIPTION: "ImageDescription", MAKE: "Make", MODEL: "Model", USER_COMMENT: "UserComment"}
ByteOrder = Literal["little", "big"]


def texts_of(layout: Layout) -> tuple[dict[str, str], list[str]]:
    """(name -> text: PNG's keywords, EXIF's field names, "UserComment" of XMP; the first of a name counts. What could not be read.)"""
    found: dict[str, str] = {}
    unread = list(layout.skipped)
    room = MAX_TEXTS
    for what, piece in layout.pieces:
        reader = {"exif": _exif, "xmp": _xmp}.get(what)
        for name, text in reader(piece) if reader else _png_text(what, piece):
            if text is None or len(text) > room:
                unread.append(name)
            elif name not in found:
                found[name] = text
                room -= len(text)
    return found, unread


def _png_text(what: str, piece: bytes) -> Iterator[tuple[str, str | None]]:
    keyword, zero, rest = piece.partition(b"\0")
    name = keyword[:79].decode("latin-1")
    if zero:
        said = _said(what, rest)
        charset = "utf-8" if what == "iTXt" else "latin-1"
        yield name, None if said is None or len(said) > MAX_TEXT else said.decode(charset, "replace")


def _said(what: str, rest: bytes) -> bytes | None:
    if what == "tEXt":
        return rest
    if what == "zTXt":
        return _inflated(rest[1:]) if rest[:1] == b"\0" else None
    if len(rest) < 4 or rest[0] > 1 or rest[1]:
        return None
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(text) if rest[0] else text


def _inflated(packed: bytes) -> bytes | None:
    """None for what is damaged or would be longer than `MAX_TEXT`: no more than that is ever unpacked."""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(packed, MAX_TEXT)
    except zlib.error:
        return None
    return plain if unpacker.eof else None


def _exif(block: bytes) -> Iterator[tuple[str, str | None]]:
    order: ByteOrder = "big" if block[:2] == b"MM" else "little"
    if block[:4] not in (b"II*\0", b"MM\0*"):
        yield "EXIF", None
        return
    first = int.from_bytes(block[4:8], order)
    for tag, kind, count, place in _entries(block, first, order):
        if tag == EXIF_IFD:
            second = int.from_bytes(block[place : place + 4], order)
            yield from (_field(block, *entry) for entry in _entries(block, second, order) if entry[0] in NAMES)
        elif tag in NAMES:
            yield _field(block, tag, kind, count, place)


def _entries(block: bytes, at: int, order: ByteOrder) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, count, where its value lies) of one directory."""
    count = int.from_bytes(block[at : at + 2], order)
    for place in range(at + 2, min(at + 2 + 12 * min(count, MAX_ENTRIES), len(block) - 11), 12):
        tag, kind = (int.from_bytes(block[place + shift : place + shift + 2], order) for shift in (0, 2))
        length = int.from_bytes(block[place + 4 : place + 8], order)
        small = (length <= 4 and kind in (1, 2, 7)) or kind in (3, 4)
        yield tag, kind, length, place + 8 if small else int.from_bytes(block[place + 8 : place + 12], order)


def _field(block: bytes, tag: int, kind: int, count: int, place: int) -> tuple[str, str | None]:
    data = block[place : place + count] if count <= MAX_TEXT else b""
    if kind not in (1, 2, 7) or len(data) < count or count > MAX_TEXT:
        return NAMES[tag], None
    return NAMES[tag], _comment(data) if tag == USER_COMMENT else data.decode("utf-8", "replace").rstrip("\0 ")


def _comment(data: bytes) -> str:
    """UserComment behind its eight bytes that name the characters; some writers leave these out."""
    code, text = data[:8], data[8:]
    if code == b"UNICODE\0":
        return _utf16(text)
    if code in (b"ASCII\0\0\0", b"\0" * 8, b"JIS\0\0\0\0\0"):
        data = text
    return data.decode("utf-8", "replace").rstrip("\0 ")


def _utf16(text: bytes) -> str:
    """In the order that its mark says, else in the one that puts more zeros where Latin letters have them."""
    if text[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return text.decode("utf-16", "replace").rstrip("\0")
    big = text[0::2].count(0) >= text[1::2].count(0)
    return text.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\0")


def _xmp(block: bytes) -> Iterator[tuple[str, str | None]]:
    """The text of exif:UserComment (Draw Things). Found by its tags: nothing of XML is understood, so nothing of it can be abused."""
    text = block[:MAX_TEXT].decode("utf-8", "replace")
    start = text.find("<exif:UserComment>")
    end = text.find("</exif:UserComment>", start)
    if start < 0 or end < 0:
        return
    part = text[start:end]
    item = part.find("<rdf:li")
    opened = part.find(">", item) if item >= 0 else -1
    if opened >= 0:
        yield "UserComment", html.unescape(part[opened + 1 :].partition("</rdf:li>")[0])
