"""A zip reader that accepts only archives every other reader would read alike. It is strict on purpose and unpacks nothing to disk.

Loaders disagree about zips (duplicate names, two directories, wrong local headers), and each disagreement is a way to show
a scanner one file and the loader another. Here every byte of the file belongs to exactly one part that agrees with all others.
Field layout: PKWARE APPNOTE 6.3.10; what torch writes was measured on torch 2.13 (miniz): flags 0x808, sizes in descriptors.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.window import Window
from registry.formats.zipnames import check_name, decode_name

STORED, DEFLATED = 0, 8
MAX_MEMBERS = 20_000
MAX_DIRECTORY = 8 << 20
MAX_RATIO = 200
"""Declared size over packed size of a deflated member; beyond it a few kilobytes become gigabytes."""

FLAG_DESCRIPTOR, FLAG_UTF8 = 0x0008, 0x0800
FLAGS_ENCRYPTED = 0x2041
"""Encrypted, strongly encrypted, and with a hidden directory."""
ZIP64, TORCH_PADDING = 0x0001, 0x4246
KNOWN_EXTRAS = frozenset({ZIP64, TORCH_PADDING, 0x5455, 0x5855, 0x7875, 0x000A})
"""zip64, torch's "FB" padding, and the time and owner fields of ordinary zip programs."""
MAX_EXTRA = 64
"""Bytes of a time or owner field; the longest, NTFS times, has 32."""

U16, U32 = 0xFFFF, 0xFFFFFFFF
_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive: `header` and `data` are byte offsets from the start of the file, sizes are bytes."""

    name: str
    method: int
    flags: int
    crc32: int
    packed: int
    size: int
    header: int
    data: int = 0

    @property
    def is_directory(self) -> bool:
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True)
class Archive:
    """A checked archive: its members in file order, which tile the file up to the central directory.

    `checksums` is False where torch was told to save without them: then every member of the archive, stored and with a descriptor,
    states 0, which no reader takes for different content (torch reads on, Python refuses the whole file).
    """

    window: Window
    members: tuple[Member, ...]
    checksums: bool = True

    def read(self, member: Member, limit: int) -> bytes:
        """The member's content with its CRC checked; raises `LimitExceeded` "Z-BOMB" above `limit` bytes."""
        if member.size > limit:
            raise LimitExceeded("Z-BOMB", f"A part of the archive is larger than the {limit} bytes allowed for it.", where=member.name)
        raw = self.window.read(member.data, member.packed)
        data = raw if member.method == STORED else _inflate(raw, member)
        if self.checksums and zlib.crc32(data) != member.crc32:
            raise FormatError("Z-CRC", "A part of the archive does not match its checksum; the upload is damaged.", where=member.name)
        return data


def read_archive(window: Window) -> Archive:
    """Check the whole structure without reading any member's content; raises `FormatError` with a "Z-" code."""
    directory, size, count = _find_directory(window)
    listed = sorted(_read_directory(window.read(directory, size), count), key=lambda member: member.header)
    _check_unique(listed)
    starts = [member.header for member in listed] + [directory]
    if starts[0] != 0:
        raise _layout("There are bytes before the archive's first part.", 0)
    members = tuple(_locate(window, member, end) for member, (_, end) in zip(listed, pairwise(starts), strict=True))
    return Archive(window, members, not _saved_without_checksums(members))


def _saved_without_checksums(members: tuple[Member, ...]) -> bool:
    """Whether no member has a checksum, as after `torch.serialization.set_crc32_options(False)` (measured on torch 2.13)."""
    if any(member.crc32 or member.method != STORED for member in members):
        return False
    filled = [member for member in members if member.size]
    return bool(filled) and all(member.flags & FLAG_DESCRIPTOR for member in filled)


def _layout(sentence: str, offset: int | None = None, where: str = "") -> FormatError:
    return FormatError("Z-LAYOUT", f"{sentence} Save the file again and upload that.", offset=offset, where=where)


def _find_directory(window: Window) -> tuple[int, int, int]:
    """(offset, size, entries) of the central directory, agreed by the end record and, where there is one, the zip64 record."""
    at = window.size - _END.size
    if at < 0:
        raise FormatError("F-TRUNCATED", "The archive is cut short; upload the whole file.")
    signature, disk, first_disk, here, count, size, offset, comment = _END.unpack(window.read(at, _END.size))
    if signature != b"PK\5\6" or comment:
        raise _no_end(window)
    if disk or first_disk or here != count:
        raise _layout("The archive is split over several disks.", at)
    end = at
    if at >= _LOCATOR.size and window.read(at - _LOCATOR.size, 4) == b"PK\6\7":
        end, size, offset, count = _read_zip64_end(window, at, (size, offset, count))
    if offset + size != end:
        raise _layout("The archive's directory is not where its end record says.", at)
    if count > MAX_MEMBERS or size > MAX_DIRECTORY:
        raise LimitExceeded("Z-LIMIT", f"The archive has more than {MAX_MEMBERS} parts.")
    if count == 0:
        raise _layout("The archive is empty.")
    return offset, size, count


def _no_end(window: Window) -> FormatError:
    tail = min(window.size, 66_000)
    if b"PK\5\6" in window.read(window.size - tail, tail):
        return _layout("There are bytes behind the end of the archive, or a comment.")
    return FormatError("F-TRUNCATED", "The archive is cut short: its end is missing. Upload the whole file.")


def _read_zip64_end(window: Window, end: int, plain: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """(record offset, directory size, directory offset, entries), checked against the 32-bit end record at `end`."""
    locator = end - _LOCATOR.size
    _, disk, record, disks = _LOCATOR.unpack(window.read(locator, _LOCATOR.size))
    if disk or disks != 1 or record + _END64.size != locator:
        raise _layout("The archive's zip64 locator points to the wrong place.", locator)
    signature, length, _, needed, this, first, here, count, size, offset = _END64.unpack(window.read(record, _END64.size))
    if signature != b"PK\6\6" or length != _END64.size - 12 or needed > 45 or this or first or here != count:
        raise _layout("The archive's zip64 end record is not valid.", record)
    for short, long, top in zip(plain, (size, offset, count), (U32, U32, U16), strict=True):
        if short not in (long, top):
            raise _layout("The archive's two end records disagree.", record)
    return record, size, offset, count


def _read_directory(data: bytes, count: int) -> list[Member]:
    members: list[Member] = []
    at = 0
    for _ in range(count):
        member, at = _read_central(data, at)
        members.append(member)
    if at != len(data):
        raise _layout("The archive's directory has bytes that belong to no part.")
    return members


def _read_central(data: bytes, at: int) -> tuple[Member, int]:
    if at + _CENTRAL.size > len(data):
        raise _layout("The archive's directory is cut short.")
    fields = _CENTRAL.unpack_from(data, at)
    signature, _made, needed, flags, method, _t, _d, crc, packed, size, nlen, elen, clen, disk, _internal, attributes, header = fields
    at += _CENTRAL.size
    if signature != b"PK\1\2" or clen or disk or at + nlen + elen > len(data):
        raise _layout("An entry of the archive's directory is not valid.")
    name = decode_name(data[at : at + nlen], bool(flags & FLAG_UTF8))
    at += nlen
    extras = _split_extras(data[at : at + elen], name)
    size, packed, header = _widen(extras.get(1, b""), (size, packed, header), name)
    check_name(name, attributes)
    _check_method(name, needed, flags, method, packed, size)
    return Member(name, method, flags, crc, packed, size, header), at + elen


def _check_method(name: str, needed: int, flags: int, method: int, packed: int, size: int) -> None:
    if flags & FLAGS_ENCRYPTED:
        raise FormatError("Z-FLAGS", "A part of the archive is encrypted. Upload the file without a password.", where=name)
    if flags & ~(FLAG_DESCRIPTOR | FLAG_UTF8):
        sentence = "A part of the archive was packed with a special setting. Pack the files again without compression (`zip -0`)."
        raise FormatError("Z-FLAGS", sentence, where=name)
    if method not in (STORED, DEFLATED) or needed > 45:
        raise FormatError("Z-METHOD", "A part of the archive is packed with an unusual method; upload a plain file.", where=name)
    if method == STORED and packed != size:
        raise _layout("A stored part of the archive has two different sizes.", where=name)
    if method == DEFLATED and size > MAX_RATIO * max(packed, 64):
        raise LimitExceeded("Z-BOMB", "A part of the archive unpacks to far more than its size.", where=name)
    if name.endswith("/") and (size or packed):
        raise FormatError("Z-NAME", "A folder of the archive has content.", where=name)


def _split_extras(data: bytes, name: str) -> dict[int, bytes]:
    extras: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise _layout("An extra field of the archive is cut short.", where=name)
        kind, length = struct.unpack_from("<HH", data, at)
        at += 4
        if at + length > len(data) or kind not in KNOWN_EXTRAS or kind in extras:
            raise _layout("An extra field of the archive is unknown, doubled or too long.", where=name)
        if length > MAX_EXTRA and kind != TORCH_PADDING:
            raise _layout("An extra field of the archive holds more than times and owners.", where=name)
        extras[kind] = data[at : at + length]
        at += length
    if set(extras.get(TORCH_PADDING, b"")) not in (set(), {0}, {ord("Z")}):
        raise _layout("The padding of the archive holds data.", where=name)
    return extras


def _widen(extra: bytes, values: tuple[int, int, int], name: str) -> tuple[int, int, int]:
    """Size, packed size and header offset of a directory entry, with zip64 values where the 32-bit field says to look there."""
    wanted = sum(value == U32 for value in values)
    if len(extra) != 8 * wanted:
        raise _layout("A zip64 field of the archive has the wrong length.", where=name)
    longs = iter(struct.unpack(f"<{wanted}Q", extra))
    size, packed, header = (next(longs) if value == U32 else value for value in values)
    return size, packed, header


def _check_unique(members: list[Member]) -> None:
    # torch's reader compares names without case, Python's keeps the last of two equal names: neither may ever matter.
    seen: set[str] = set()
    for member in members:
        folded = member.name.casefold()
        if folded in seen:
            raise FormatError("Z-DUP", "Two parts of the archive have the same name; loaders disagree on which counts.", where=member.name)
        seen.add(folded)


def _locate(window: Window, member: Member, end: int) -> Member:
    """The member with the offset of its data, after its local header, content and descriptor are shown to fill [header, end)."""
    name = member.name
    if member.header + _LOCAL.size > end:
        raise _layout("Parts of the archive overlap.", member.header, name)
    head = window.read(member.header, min(end - member.header, 512))
    signature, needed, flags, method, _t, _d, crc, packed, size, nlen, elen = _LOCAL.unpack_from(head)
    data = member.header + _LOCAL.size + nlen + elen
    if data + member.packed > end:
        raise _layout("Parts of the archive overlap.", member.header, name)
    if data - member.header > len(head):
        head = window.read(member.header, data - member.header)
    local_name = head[_LOCAL.size : _LOCAL.size + nlen]
    if signature != b"PK\3\4" or needed > 45 or flags != member.flags or method != member.method or local_name != name.encode():
        raise FormatError("Z-LOCAL", "A part of the archive describes itself differently from the directory.", where=name)
    extras = _split_extras(head[_LOCAL.size + nlen : data - member.header], name)
    _check_local(member, extras.get(1), (crc, packed, size))
    _check_descriptor(window, member, data + member.packed, end)
    return Member(name, member.method, member.flags, member.crc32, member.packed, member.size, member.header, data)


def _check_local(member: Member, wide: bytes | None, found: tuple[int, int, int]) -> None:
    late = bool(member.flags & FLAG_DESCRIPTOR)
    truth = (member.crc32, member.packed, member.size)
    longs = struct.unpack(f"<{len(wide) // 8}Q", wide) if wide and len(wide) % 8 == 0 and len(wide) <= 24 else ()
    # Size, packed size, and (miniz writes it here too) the header's own offset: nothing else may stand in the zip64 field.
    agreed = {member.size, member.packed, member.header, 0} if late else {member.size, member.packed}
    if (wide and not longs) or not agreed.issuperset(longs):
        raise FormatError("Z-LOCAL", "A part of the archive has a zip64 field that disagrees with the directory.", where=member.name)
    for value, true in zip(found, truth, strict=True):
        if value != true and not (late and value == 0) and not (wide and value == U32):
            raise FormatError("Z-LOCAL", "A part of the archive gives other sizes or checksums than the directory.", where=member.name)


def _check_descriptor(window: Window, member: Member, at: int, end: int) -> None:
    gap = end - at
    if gap == 0 and (not member.flags & FLAG_DESCRIPTOR or member.size == 0):
        return  # torch announces a descriptor for empty storages too, and writes none
    shapes = {12: "<III", 16: "<4sIII", 20: "<IQQ", 24: "<4sIQQ"}
    if not member.flags & FLAG_DESCRIPTOR or gap not in shapes:
        raise _layout("There are bytes between two parts of the archive.", at, member.name)
    values = struct.unpack(shapes[gap], window.read(at, gap))
    if (len(values) == 4 and values[0] != b"PK\7\x08") or values[-3:] != (member.crc32, member.packed, member.size):
        raise FormatError("Z-LOCAL", "A part of the archive has a descriptor that disagrees with the directory.", where=member.name)


def _inflate(raw: bytes, member: Member) -> bytes:
    engine = zlib.decompressobj(-15)
    try:
        data = engine.decompress(raw, member.size + 1)
    except zlib.error as error:
        raise FormatError("Z-CRC", "A packed part of the archive is damaged.", where=member.name) from error
    if len(data) != member.size or not engine.eof or engine.unused_data or engine.unconsumed_tail:
        raise FormatError("Z-BOMB", "A packed part of the archive does not unpack to the size it states.", where=member.name)
    return data
