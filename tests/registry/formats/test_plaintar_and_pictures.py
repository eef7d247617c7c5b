"""Plain tars and pictures: files of other programs are walked to their end, one byte more or less is not."""

from __future__ import annotations

import io
import random
import tarfile

import pytest

from registry.formats.errors import FormatError
from registry.formats.pictures import check_picture, picture_type
from registry.formats.plaintar import is_tar, read_tar
from registry.formats.window import Window
from tests.attacks.bundles import GIF, JPEG, WEBP
from tests.attacks.writers import png, png_chunk, tar, tar_file
from tests.scanner.honest_kinds import picture, tarred

PICTURES = {"png": png(), "jpeg": JPEG, "gif": GIF, "webp": WEBP}


def window(data: bytes) -> Window:
    return Window(io.BytesIO(data))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_pythons_tarfile_writes_is_read_alike(form: int) -> None:
    files = {"a": b"x" * 700, "b": b"", "c": b"y" * 512}
    data = tarred(files, form)
    assert {name: data[file.start : file.start + file.size] for name, file in read_tar(window(data)).items()} == files


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_only_plain_files_are_taken(kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a")
        info.type, info.linkname = kind, "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
        archive.addfile(info)
    with pytest.raises(FormatError, match="A-LAYOUT"):
        read_tar(window(out.getvalue()))


@pytest.mark.parametrize(
    "data",
    [
        tar({"a": b"x"})[:-1],
        tar({"a": b"x"}) + b"\0",
        tar({"a": b"x"}, bytes(512)),
        tar({"a": b"x"}, bytes(1023) + b"x"),
        tar_file("a", b"x") + tar({"a": b"y"}),
        tar_file("a", b"x")[:-1] + b"!" + bytes(1024),
        tar({str(number): b"x" for number in range(9)}),
        bytes(1024)[:1023],
    ],
    ids=["short", "long", "one block", "tail", "twice", "padding", "many", "half"],
)
def test_every_byte_of_a_tar_is_accounted_for(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_tar(window(data))


def test_the_checksum_tells_a_tar() -> None:
    block = tar_file("a", b"x")[:512]
    assert is_tar(block)
    assert not is_tar(block[:200] + b"!" + block[201:])
    assert not is_tar(block[:511])


def test_a_first_block_is_a_tar_where_tarfile_says_so() -> None:
    dice = random.Random(20261121)
    base = tar_file("a", b"x")[:512]
    found = 0
    for _ in range(20_000):
        block = bytearray(base)
        for _ in range(dice.randrange(4)):
            block[dice.randrange(512)] = dice.choice([0, 32, 48, 55, 56, 0x80, 0xFF, dice.randrange(256)])
        others = block[:148] + block[156:]
        total = 256 + dice.choice([sum(others), sum(byte - 256 if byte > 127 else byte for byte in others)])
        wide = b"\x80" + total.to_bytes(7, "big") if total >= 0 else b"\xff" + (256**7 + total).to_bytes(7, "big")
        block[148:156] = dice.choice([block[148:156], wide, b"%06o\0 " % max(total, 0)])
        try:
            theirs = bool(tarfile.TarInfo.frombuf(bytes(block), "utf-8", "surrogateescape"))
        except tarfile.HeaderError:
            theirs = False
        assert is_tar(bytes(block)) == theirs, bytes(block)
        found += theirs
    assert 1000 < found < 19_000


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_ends_where_it_says(kind: str) -> None:
    whole = PICTURES[kind]
    assert check_picture(window(whole)) == picture_type(whole) == kind
    with pytest.raises(FormatError, match="I-TRAILING"):
        check_picture(window(whole + b"\1"))
    with pytest.raises(FormatError, match="I-PADDING"):
        check_picture(window(whole + b"\0"))
    for size in range(len(whole)):
        with pytest.raises(FormatError):
            check_picture(window(whole[:size]))


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 95}), ("GIF", {}), ("WEBP", {"quality": 80})])
def test_what_pillow_writes_is_walked(kind: str, options: dict[str, int]) -> None:
    assert check_picture(window(picture(kind, **options))) == kind.lower()


def test_texts_inside_a_png_are_part_of_it() -> None:
    assert check_picture(window(png(png_chunk(b"tEXt", b"parameters\0a cat")))) == "png"
    with pytest.raises(FormatError, match="I-PARSE"):
        check_picture(window(png(png_chunk(b"tEXt", b"a\0b")[:-1] + b"!")))
