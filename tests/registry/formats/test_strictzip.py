"""Honest archives of several writers are read; every way in which readers could disagree is refused by its own code."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.strictzip import Archive, read_archive
from registry.formats.window import Window
from tests.attacks import ATTACKS
from tests.attacks.assemble import Part, torch_parts, zipped

OF_BUNDLES = ("Z-EXTENSION", "Z-DEPTH", "Z-PORTABLE", "Z-MACOS")
"""Said of what is in an archive; the archive itself is in order."""
ZIP_ATTACKS = [attack for attack in ATTACKS if attack.code.startswith("Z-") and attack.code not in OF_BUNDLES]


def archive(data: bytes) -> Archive:
    return read_archive(Window(io.BytesIO(data)))


def contents(data: bytes, limit: int = 1 << 20) -> dict[str, bytes]:
    found = archive(data)
    return {member.name: found.read(member, limit) for member in found.members}


def written_by_python(method: int, *, zip64: bool = False, streamed: bool = False) -> bytes:
    raw = io.BytesIO()
    target = _Unseekable(raw) if streamed else raw
    with zipfile.ZipFile(target, "w", method) as file:  # type: ignore[arg-type]
        for name in ("a/b.txt", "ü.txt"):
            with file.open(name, "w", force_zip64=zip64) as member:
                member.write(name.encode() * 50)
    return raw.getvalue()


class _Unseekable:
    """A pipe-like target, for which zipfile writes data descriptors."""

    def __init__(self, raw: io.BytesIO) -> None:
        self.write = raw.write
        self.flush = raw.flush


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_archives_of_python_are_read(method: int, zip64: bool, streamed: bool) -> None:
    data = written_by_python(method, zip64=zip64, streamed=streamed)
    assert contents(data) == {"a/b.txt": b"a/b.txt" * 50, "ü.txt": "ü.txt".encode() * 50}


def test_places_are_those_of_the_bytes() -> None:
    data = zipped(torch_parts())
    for member in archive(data).members:
        assert zlib.crc32(data[member.data : member.data + member.size]) == member.crc32


@pytest.mark.parametrize("attack", ZIP_ATTACKS, ids=lambda attack: attack.title)
def test_refused(attack: object) -> None:
    with pytest.raises(FormatError) as caught:
        contents(attack.build(), 64 << 20)  # type: ignore[attr-defined]
    assert caught.value.code == attack.code  # type: ignore[attr-defined]
    assert caught.value.sentence.endswith((".", "!"))


def test_every_single_cut_is_refused() -> None:
    data = zipped(torch_parts())
    for length in range(len(data)):
        with pytest.raises(FormatError):
            archive(data[:length])


def test_member_over_its_limit_is_not_unpacked() -> None:
    found = archive(zipped([Part("a/b", bytes(5000), method=8)]))
    with pytest.raises(LimitExceeded, match="Z-BOMB"):
        found.read(found.members[0], 4999)


def test_packed_member_that_holds_more_than_stated_is_refused() -> None:
    data = bytearray(zipped([Part("a/b", b"x" * 100, method=8)]))
    directory = data.index(b"PK\1\2")
    struct.pack_into("<I", data, 22, 99)
    struct.pack_into("<I", data, directory + 24, 99)
    found = archive(bytes(data))
    with pytest.raises(FormatError, match="Z-BOMB"):
        found.read(found.members[0], 1000)


def test_damaged_packed_member_is_refused() -> None:
    part = Part("a/b", bytes(range(256)) * 4, method=8)
    data = bytearray(zipped([part]))
    data[36] ^= 0xFF
    found = archive(bytes(data))
    with pytest.raises(FormatError, match="Z-"):
        found.read(found.members[0], 10_000)


@pytest.mark.parametrize("at", [4, 8, 24, 32, 40, 48])
def test_zip64_end_record_that_disagrees_is_refused(at: int) -> None:
    import torch

    raw = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, raw)
    data = bytearray(raw.getvalue())
    archive(bytes(data))
    data[data.rindex(b"PK\6\6") + at] ^= 1
    with pytest.raises(FormatError, match="Z-LAYOUT"):
        archive(bytes(data))


def test_descriptor_that_disagrees_is_refused() -> None:
    data = bytearray(written_by_python(zipfile.ZIP_STORED, streamed=True))
    data[data.index(b"PK\7\x08") + 8] ^= 1
    with pytest.raises(FormatError, match="Z-LOCAL"):
        archive(bytes(data))
