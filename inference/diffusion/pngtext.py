"""Text chunks of a PNG: put in behind the header, and read back, without touching a pixel. What the text means is not known here.

Layout: ISO/IEC 15948, 11.3.3 (tEXt, zTXt, iTXt).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from registry.formats.errors import FormatError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 200_000
MAX_CHUNK_TEXT = 1 << 20
"""Bytes of one text, unpacked: what Pillow takes (MAX_TEXT_CHUNK)."""
MAX_TEXTS = 64
"""Texts that are kept of one picture."""
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})


def with_text(png: bytes, keyword: str, text: str) -> bytes:
    """The same picture with this text under `keyword` (Latin-1, 1 to 79 characters) and no other under it.

    tEXt where Latin-1 can say it, else iTXt, as Pillow chooses. Raises FormatError `picture:png` for what is no PNG, and
    `picture:text-size` where the text is longer than readers take.
    """
    made = _text_chunk(keyword, text)
    if len(made) > MAX_CHUNK_TEXT:
        raise FormatError("picture:text-size", f"The parameters are longer than {MAX_CHUNK_TEXT >> 20} MB. Shorten the prompt.")
    out: list[bytes | memoryview] = [SIGNATURE]
    for kind, data, raw in _chunks(png):
        if kind not in TEXTS or _keyword(data) != keyword:
            out.append(raw)
        if kind == b"IHDR":
            out.append(made)
    return b"".join(out)


def texts(png: bytes) -> dict[str, str]:
    """Keyword -> text of every text chunk that can be read; the first of a keyword counts. Raises FormatError `picture:png`."""
    found: dict[str, str] = {}
    for kind, data, _ in _chunks(png):
        if kind in TEXTS and len(found) < MAX_TEXTS:
            said = _said(kind, data)
            if said is not None:
                found.setdefault(_keyword(data), said)
    return found


def _text_chunk(keyword: str, text: str) -> bytes:
    try:
        return _chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8", "replace"))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _chunks(png: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """(kind, data, the whole chunk) up to IEND."""
    if not png.startswith(SIGNATURE):
        raise _broken()
    view, at = memoryview(png), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        head = view[at : at + 8]
        if len(head) < 8:
            raise _broken()
        end = at + 12 + int.from_bytes(head[:4], "big")
        if end > len(view):
            raise _broken()
        kind = bytes(head[4:])
        yield kind, view[at + 8 : end - 4], view[at:end]
        if kind == b"IEND":
            return
        at = end
    raise _broken()


def _broken() -> FormatError:
    return FormatError("picture:png", "The picture is no whole PNG. Save it again.")


def _keyword(data: memoryview) -> str:
    return bytes(data[:80]).partition(b"\0")[0].decode("latin-1")


def _said(kind: bytes, data: memoryview) -> str | None:
    """The text of a chunk; None for one that is damaged, too long or of an unknown compression."""
    if len(data) > MAX_CHUNK_TEXT:
        return None
    _, _, rest = bytes(data).partition(b"\0")
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if kind == b"zTXt":
        plain = _inflated(rest[1:]) if rest[:1] == b"\0" else None
        return None if plain is None else plain.decode("latin-1")
    if len(rest) < 4 or rest[0] > 1 or rest[1]:
        return None
    packed = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    said = _inflated(packed) if rest[0] else packed
    return None if said is None else said.decode("utf-8", "replace")


def _inflated(packed: bytes) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(packed, MAX_CHUNK_TEXT)
    except zlib.error:
        return None
    return plain if unpacker.eof else None
