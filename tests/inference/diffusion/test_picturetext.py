"""Parameters in pictures of every type: put in, read back by us and by Pillow, and hostile pictures that raise nothing but FormatError."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from inference.diffusion.picturetext import EXIF_IFD, USER_COMMENT, embed, exif, read
from inference.diffusion.pngtext import MAX_CHUNK_TEXT
from registry.formats.errors import FormatError

TEXTS = [
    "plain\nSteps: 1, Seed: 2, Size: 8x8",
    "é latin",
    "漢字 🎈\nSteps: 4, Sampler: Euler, Seed: 5",
    '"quotes", \\ and: more',
    "x" * 70_000,
]


def picture(kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((16, 8)).convert("RGB").save(out, kind, **options)
    return out.getvalue()


def block(comment: bytes) -> bytes:
    made = Image.Exif()
    made.get_ifd(EXIF_IFD)[USER_COMMENT] = comment
    return made.tobytes()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_png_holds_its_parameters(text: str) -> None:
    made = embed(picture(), text)
    assert read(made) == text
    with Image.open(io.BytesIO(made)) as opened:
        assert opened.text["parameters"] == text
        assert opened.tobytes() == Image.open(io.BytesIO(picture())).tobytes()


def test_the_chunk_is_the_kind_that_pillow_chooses() -> None:
    assert b"tEXtparameters\0" in embed(picture(), "é")
    assert b"iTXtparameters\0" in embed(picture(), "漢")


def test_new_parameters_stand_for_the_old_ones_and_other_texts_stay() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "old")
    info.add_text("Title", "kept")
    made = embed(embed(picture(pnginfo=info), "漢"), "new")
    assert read(made) == "new"
    assert made.count(b"parameters") == 1
    with Image.open(io.BytesIO(made)) as opened:
        assert opened.text == {"parameters": "new", "Title": "kept"}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("text", TEXTS[:4], ids=range(4))
def test_other_pictures_hold_them_in_exif(kind: str, text: str) -> None:
    assert read(picture(kind, exif=exif(text))) == text


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + TEXTS[2].encode("utf-16-le"),
        b"UNICODE\0" + TEXTS[2].encode("utf-16"),
        TEXTS[2].encode(),
        b"\0" * 8 + TEXTS[2].encode(),
    ],
    ids=["little end first", "with a mark", "bare UTF-8", "no code"],
)
def test_what_other_writers_do(comment: bytes) -> None:
    assert read(picture("JPEG", exif=block(comment))) == TEXTS[2]


def test_ascii_comments() -> None:
    assert read(picture("WEBP", exif=block(b"ASCII\0\0\0" + TEXTS[0].encode()))) == TEXTS[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_a_picture_without_parameters(kind: str) -> None:
    assert read(picture(kind)) is None


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(made: bytes) -> bytes:
    whole = picture()
    return whole[:33] + made + whole[33:]


def test_packed_texts_are_read() -> None:
    assert read(with_chunk(chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"abc")))) == "abc"
    assert read(with_chunk(chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress("漢".encode())))) == "漢"


@pytest.mark.parametrize(
    "data",
    [b"parameters\0\0" + zlib.compress(b"a" * (MAX_CHUNK_TEXT + 1)), b"parameters\0\0no zlib", b"parameters\0\1x", b"parameters"],
    ids=["a bomb", "damaged", "unknown packing", "cut"],
)
def test_a_packed_text_that_cannot_be_read_is_none(data: bytes) -> None:
    assert read(with_chunk(chunk(b"zTXt", data))) is None


def test_a_text_above_the_limit_is_neither_read_nor_written() -> None:
    assert read(with_chunk(chunk(b"tEXt", b"parameters\0" + b"a" * (MAX_CHUNK_TEXT + 1)))) is None
    with pytest.raises(FormatError) as error:
        embed(picture(), "a" * (MAX_CHUNK_TEXT + 1))
    assert error.value.code == "picture:text-size"


@pytest.mark.parametrize("broken", [b"", b"\x89PNG\r\n\x1a\n", picture()[:-5], b"GIF89a", picture("JPEG")])
def test_only_whole_pngs_take_parameters(broken: bytes) -> None:
    with pytest.raises(FormatError) as error:
        embed(broken, "x")
    assert error.value.code == "picture:png"


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP", "AVIF"]), seed=st.integers(0, 1 << 32), cut=st.booleans())
def test_hostile_pictures_raise_nothing_else(kind: str, seed: int, cut: bool) -> None:
    luck = random.Random(seed)
    made = bytearray(embed(SOURCES["PNG"], "text") if kind == "PNG" else SOURCES[kind])
    for _ in range(luck.randrange(1, 12)):
        made[luck.randrange(len(made))] = luck.randrange(256)
    hostile = bytes(made[: luck.randrange(len(made))] if cut else made)
    said = outcome(hostile)
    assert said is None or isinstance(said, str)


def outcome(hostile: bytes) -> str | None:
    """What is read, or the code of the refusal."""
    try:
        return read(hostile)
    except FormatError as error:
        return error.code


SOURCES = {kind: picture(kind, **({} if kind == "PNG" else {"exif": exif("Steps: 1")})) for kind in ("PNG", "JPEG", "WEBP", "AVIF")}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_entries_that_all_point_to_one_place_are_not_copied(kind: str) -> None:
    """Five thousand entries of 50 kB each, of which as many copies would make 250 MB."""
    count, length = 5_000, 50_000
    entries = b"".join(struct.pack("<HHII", 0x9300 + number, 7, length, 8) for number in range(count))
    hostile = b"Exif\0\0II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4)
    made = picture(kind, exif=hostile)
    tracemalloc.start()
    assert read(made) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@given(st.binary(max_size=300))
def test_noise_raises_nothing_else(noise: bytes) -> None:
    for head in (b"", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n"):
        assert outcome(head + noise) in (None, "picture:png", "picture:damaged")
