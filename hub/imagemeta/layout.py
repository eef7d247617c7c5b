"""Finds size, frames and the pieces that hold text in a PNG, JPEG or WebP, by its structure. Unpacks nothing and decodes no pixel.

Layouts: PNG (ISO/IEC 15948; acTL of APNG), JPEG (ITU T.81 annex B), RIFF/WebP (RFC 9649). It stops where the bytes stop making sense and
keeps what it has; whether a file is whole to its last byte is `registry.formats.pictures`'s question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from registry.formats.errors import FormatError
from registry.formats.pictures import picture_type

MAX_BYTES = 20 << 20
MAX_PARTS = 100_000
MAX_PIECE = 4 << 20
"""Bytes of one piece that is looked into."""
MAX_PIECES = 64
MAX_ALL = 16 << 20
"""Bytes of all pieces together."""

_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers of a frame's header, which has its size."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf"})


@dataclass(slots=True)
class Layout:
    """`kind` is "png", "jpeg" or "webp"; `pieces` are (what: "tEXt", "zTXt", "iTXt", "exif", "xmp"; its bytes); `skipped` names
    those that are too large."""

    kind: str
    width: int = 0
    height: int = 0
    frames: int = 1
    pieces: list[tuple[str, bytes]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def pixels(self) -> int:
        return self.width * self.height

    def keep(self, what: str, piece: memoryview) -> None:
        room = MAX_ALL - sum(len(kept) for _, kept in self.pieces)
        if len(piece) <= min(MAX_PIECE, room) and len(self.pieces) < MAX_PIECES:
            self.pieces.append((what, bytes(piece)))
        elif len(self.skipped) < MAX_PIECES:
            self.skipped.append(f"{what} ({len(piece)} bytes)")


def layout_of(data: bytes) -> Layout:
    """Raises FormatError `image:kind` for what is none of the three, `image:damaged` where no size can be found."""
    kind = picture_type(data[:16])
    walk = {"png": _png, "jpeg": _jpeg, "webp": _webp}.get(kind)
    if walk is None:
        raise FormatError("image:kind", "This is not a PNG, JPEG or WebP image. Save it as one of these and attach that.")
    found = Layout(kind)
    walk(memoryview(data), found)
    if not found.pixels:
        raise FormatError("image:damaged", "The image is damaged. Save it again and attach that.")
    return found


def _png(view: memoryview, found: Layout) -> None:
    for kind, data in _png_chunks(view):
        if kind == b"IHDR" and len(data) == 13:
            found.width, found.height = _big(data[:4]), _big(data[4:8])
        elif kind == b"acTL" and len(data) >= 4:
            found.frames = _big(data[:4])
        elif kind in _TEXTS:
            found.keep("exif" if kind == b"eXIf" else kind.decode(), data)


def _png_chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 8
    for _ in range(MAX_PARTS):
        end = at + 12 + _big(view[at : at + 4])
        kind = bytes(view[at + 4 : at + 8])
        if len(kind) < 4 or kind == b"IEND" or end > len(view):
            return
        yield kind, view[at + 8 : end - 4]
        at = end


def _jpeg(view: memoryview, found: Layout) -> None:
    """Up to the first scan: the header and all notes stand before it."""
    at = 2
    for _ in range(MAX_PARTS):
        if at + 4 > len(view) or view[at] != 0xFF:
            return
        marker = view[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        at += 2
        if marker in _ALONE:
            continue
        end = at + _big(view[at : at + 2])
        if marker in (0xD9, 0xDA) or end < at + 2 or end > len(view):
            return
        _segment(marker, view[at + 2 : end], found)
        at = end


def _segment(marker: int, data: memoryview, found: Layout) -> None:
    if marker in _SIZES and len(data) >= 5:
        found.height, found.width = _big(data[1:3]), _big(data[3:5])
    elif marker == 0xE1 and bytes(data[:6]) == b"Exif\0\0":
        found.keep("exif", data[6:])
    elif marker == 0xE1 and bytes(data[:29]) == b"http://ns.adobe.com/xap/1.0/\0":
        found.keep("xmp", data[29:])


def _webp(view: memoryview, found: Layout) -> None:
    at, frames = 12, 0
    for _ in range(MAX_PARTS):
        kind, length = bytes(view[at : at + 4]), int.from_bytes(view[at + 4 : at + 8], "little")
        data = view[at + 8 : at + 8 + length]
        if len(kind) < 4 or len(data) < length:
            break
        frames += kind == b"ANMF"
        _webp_chunk(kind, data, found)
        at += 8 + length + length % 2
    found.frames = max(1, frames)


def _webp_chunk(kind: bytes, data: memoryview, found: Layout) -> None:
    if kind == b"VP8X" and len(data) >= 10:
        found.width, found.height = _little(data[4:7]) + 1, _little(data[7:10]) + 1
    elif kind == b"VP8 " and len(data) >= 10 and not found.pixels:
        found.width, found.height = _little(data[6:8]) & 0x3FFF, _little(data[8:10]) & 0x3FFF
    elif kind == b"VP8L" and len(data) >= 5 and not found.pixels:
        bits = _little(data[1:5])
        found.width, found.height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"EXIF":
        found.keep("exif", data[6:] if bytes(data[:6]) == b"Exif\0\0" else data)
    elif kind == b"XMP ":
        found.keep("xmp", data)


def _big(data: memoryview) -> int:
    return int.from_bytes(data, "big")


def _little(data: memoryview) -> int:
    return int.from_bytes(data, "little")
