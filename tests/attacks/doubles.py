"""Files that are two things: a zip at the end or a tar or pickle at the start of an honest file, and texts that are pickles."""

from __future__ import annotations

import struct

from tests.attacks.assemble import Part, pickled, system, zipped
from tests.attacks.catalogue import attack, each
from tests.attacks.headers import entry, written
from tests.attacks.writers import gguf, gguf_text, npy, onnx, part, png, png_chunk, tar_file

DANGER, ERROR = "danger", "error"
PAYLOAD = pickled(system())
EVIL = [Part("archive/data.pkl", PAYLOAD), Part("archive/version", b"3\n")]

# --- zips at the end -----------------------------------------------------------------------------------------------------


def zip_at(place: int, *, gap: bytes = b"", wide: bool = False, comment: int = 0) -> bytes:
    """A zip for `place` bytes behind a file's start, with room between its directory and its end, zip64 records, or a comment to come."""
    EVIL[0].before = bytes(place)
    whole = zipped(EVIL)[place:]
    body, end = whole[:-22], bytearray(whole[-22:])
    size, offset = struct.unpack_from("<II", end, 12)
    if wide:
        record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, size, offset)
        gap += record + struct.pack("<4sIQI", b"PK\6\7", 0, place + len(body) + len(gap), 1)
        end[8:20] = b"\xff" * 12
    struct.pack_into("<H", end, 20, comment)
    return body + gap + bytes(end)


def in_safetensors(**how: object) -> bytes:
    data = zip_at(100, **how)  # type: ignore[arg-type]
    header = written({"a": entry(0, len(data), len(data), dtype="U8")}, b"")
    return written({"a": entry(0, len(data), len(data), dtype="U8")}, zip_at(len(header), **how))  # type: ignore[arg-type]


def in_array(**how: object) -> bytes:
    data = zip_at(128, **how)  # type: ignore[arg-type]
    return npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(data)},), }}", data)


GGUF_FRONT = 90
"""Bytes in front of the one text of `in_gguf` and `gguf_and_tar`."""


def in_gguf(**how: object) -> bytes:
    """In the last text, in front of no tensors."""
    return gguf({"x": struct.pack("<I", 8) + gguf_text(zip_at(GGUF_FRONT, **how))}, (), b"", alignment=1)  # type: ignore[arg-type]


def in_onnx(**how: object) -> bytes:
    place = len(onnx(more=part(6, zip_at(0, **how)))) - len(zip_at(0, **how))  # type: ignore[arg-type]
    return onnx(more=part(6, zip_at(place, **how)))  # type: ignore[arg-type]


def in_pickle(**how: object) -> bytes:
    data = zip_at(7, **how)  # type: ignore[arg-type]
    return b"\x80\4B" + struct.pack("<I", len(data)) + data + b"."


WIDE, GAP = {"wide": True}, {"gap": b"JUNK"}
HOLDERS = {"safetensors": in_safetensors, "npy": in_array, "gguf": in_gguf, "onnx": in_onnx, "pkl": in_pickle}
for _kind, _hold in HOLDERS.items():
    _rows = {
        f"doubles.zip64_in_{_kind}": lambda hold=_hold: hold(**WIDE),
        f"doubles.zip_with_a_gap_in_{_kind}": lambda hold=_hold: hold(**GAP),
    }
    each(DANGER, "F-POLYGLOT", f"model.{_kind}", klass=22, rows=_rows)


@attack(DANGER, "F-POLYGLOT", "a.png", klass=22)
def zip_in_a_png_whose_comment_is_the_rest() -> bytes:
    # 4 bytes of checksum, then the pixels' chunk and the end's
    rest = len(png()) - 33 + 4
    return png(png_chunk(b"zzZt", zip_at(41, comment=rest)))


@attack(DANGER, "F-POLYGLOT", "a.jpg", klass=22)
def zip_in_a_comment_of_a_jpeg() -> bytes:
    data = zip_at(6, comment=2)
    return b"\xff\xd8\xff\xfe" + struct.pack(">H", len(data) + 2) + data + b"\xff\xd9"


@attack(DANGER, "F-POLYGLOT", "a.gif", klass=22)
def zip_in_a_comment_of_a_gif() -> bytes:
    data = zipped([Part("e", pickled(system()))])[:-2] + b"\2\0"
    return b"GIF89a\1\0\1\0\0\0\0!\xfe" + bytes([len(data)]) + data + b"\0;"


# --- tars and pickles at the start ---------------------------------------------------------------------------------------

NUMBERS = ((100, 108), (108, 116), (116, 124), (124, 136), (136, 148))
MEMBERS = tar_file("storages", PAYLOAD) + bytes(1024)


def as_tar(data: bytes, free: int) -> bytes:
    """The file with a tar's header laid over its bytes from `free` on, which nobody else looks at."""
    block = bytearray(data[:512])
    for begin, end in NUMBERS:
        if begin >= free:
            block[begin:end] = b"0" * (end - begin - 1) + b"\0"
    block[148:157] = b" " * 8 + b"0"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data[512:]


def safetensors_and_tar() -> bytes:
    size = 512 + len(MEMBERS)
    header = len(written({"a": entry(0, size, size, dtype="U8")}, b""))
    size -= header
    return as_tar(written({"a": entry(0, size, size, dtype="U8")}, bytes(512 - header) + MEMBERS), header)


def gguf_and_tar() -> bytes:
    return as_tar(gguf({"x": struct.pack("<I", 8) + gguf_text(bytes(512 - GGUF_FRONT) + MEMBERS)}, (), b"", alignment=1), GGUF_FRONT)


def array_and_tar() -> bytes:
    data = bytes(384) + MEMBERS
    whole = npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(data)},), }}", data)
    return as_tar(whole[:128] + b"0000000\0" + b"00000000000\0" + whole[148:], 136)


def picture_and_tar() -> bytes:
    content = bytes(471) + MEMBERS
    chunk = as_tar(png(png_chunk(b"zzZt", content))[: 41 + len(content)], 41)[41:]
    return png(png_chunk(b"zzZt", chunk))


TARS = {"model.safetensors": safetensors_and_tar, "model.gguf": gguf_and_tar, "model.npy": array_and_tar, "a.png": picture_and_tar}
for _name, _build in TARS.items():
    each(DANGER, "F-POLYGLOT", _name, klass=22, rows={f"doubles.{_build.__name__}": _build})


def tar_with_a_sum_below_zero() -> bytes:
    """A pickle of one text; the sum in its first block is negative, which Python's tarfile writes and reads in base 256."""
    front = b"\x80\3B" + struct.pack("<I", 512 + len(MEMBERS) - 7)
    block = bytearray(front.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"00000000000\0" * 2 + bytes(8) + b"0")
    block += b"\x80" * 100 + bytes(8) + b"\x80" * 64 + bytes(183)
    total = 256 + sum(byte - 256 if byte > 127 else byte for byte in block)
    block[148:156] = b"\xff" + (256**7 + total).to_bytes(7, "big")
    return bytes(block) + MEMBERS + b"."


each(ERROR, "F-UNSUPPORTED", "model.pt", klass=29, rows={"doubles.tar_with_a_sum_below_zero": tar_with_a_sum_below_zero})


@attack(DANGER, "F-POLYGLOT", "model.safetensors", klass=22)
def safetensors_and_pickle() -> bytes:
    """The length is the opcode of a text, which hops into the metadata; from there texts of 126 letters hop on to the tensor."""
    payload = b"cposix\nsystem\nS'echo owned'\n\x85R."
    tail = b'"},"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (len(payload), len(payload))
    header = b'{"__metadata__":{"n":"'.ljust(61, b"a") + (b"U~" + b"x" * 126) * 127
    header += b"U5" + b"y" * 53 + b"Ub" + b"z" * (98 - len(tail)) + tail
    assert len(header) == 0x4058
    return struct.pack("<Q", len(header)) + header + payload


# --- texts ---------------------------------------------------------------------------------------------------------------

CALL = b"cpty\nspawn\n(S'id'\ntR."
LETTERS = b"a" * 5000
each(
    DANGER,
    "F-EXTENSION",
    "readme.md",
    klass=26,
    rows={
        "doubles.text_with_a_memo_index_of_millions": lambda: b"Np16777217\n0" + CALL,
        "doubles.text_behind_a_long_quote": lambda: b"S'" + LETTERS + b"'\n0" + CALL,
        "doubles.text_behind_many_long_lines": lambda: (b"V" + LETTERS + b"\n0") * 17 + CALL,
        "doubles.text_behind_a_megabyte": lambda: b"V" + LETTERS * 300 + b"\n0" + CALL,
        "doubles.text_with_its_name_on_the_stack": lambda: f"S'{'a' * 5000}'\n0Vpty\nVspawn\np195\n0h\u00d3(S'id'\ntR.".encode(),
        "doubles.text_with_an_instance": lambda: b"(S'" + LETTERS + b"'\nicode\nInteractiveInterpreter\n.",
        "doubles.text_behind_another_pickle": lambda: b"I119547037146038801333356\n.I1001\n.cos\nsystem\n(S'id'\ntR.and prose",
        "doubles.text_that_calls_an_unknown_package": lambda: b"cultra.tasks\nload\n(S'x'\ntR.",
        "doubles.text_that_imports_and_ends": lambda: b"S'" + LETTERS + b"'\n0cfoo\nbar\n.",
    },
)
each(
    ERROR,
    "P-LIMIT",
    "notes.csv",
    klass=33,
    rows={
        "doubles.text_with_a_long_number": lambda: b"I" + b"1" * 500 + b"\n0" + CALL,
        "doubles.text_with_a_long_hexadecimal_number": lambda: b"L0x" + b"1" * 5000 + b"L\n0" + CALL,
        "doubles.text_of_brackets": lambda: b"(" * 1001 + b"1" * 1001 + CALL,
        "doubles.text_of_nothing": lambda: b"N0" * 2_100_000 + CALL,
    },
)
each(
    DANGER,
    "X-YAML",
    "config.yaml",
    klass=32,
    rows={
        "doubles.settings_that_call": lambda: b'!!python/object/apply:os.system ["id"]\n',
        "doubles.settings_that_call_deep": lambda: b'model:\n  - {x: !!python/object/new:subprocess.Popen [["id"]]}\n',
        "doubles.settings_that_call_in_full": lambda: b'x: !<tag:yaml.org,2002:python/object/apply:os.system> ["id"]\n',
        "doubles.settings_that_call_in_escapes": lambda: b'x: !!pyth%6fn/object/apply:os.system ["id"]\n',
        "doubles.settings_with_a_shorthand": lambda: b'%TAG !p! tag:yaml.org,2002:pyt\n---\nx: !p!hon/object/apply:os.system ["id"]\n',
        "doubles.settings_with_a_target": lambda: b"model:\n  target: subprocess.Popen\n  params: {args: id}\n",
    },
)


@attack(DANGER, "F-PROGRAM", "readme.md", klass=26)
def page_behind_comments() -> bytes:
    return b"<!-- a -->\n<!-- b -->" + b" " * 600 + b"<html><script>alert(1)</script>"


# --- bundles -------------------------------------------------------------------------------------------------------------

LORA = Part("lora.safetensors", written({"a": entry(0, 16, 4)}))


def beside(*parts: Part) -> bytes:
    return zipped([LORA, *parts])


ODD_NAMES = {
    "a_device": "CON.txt",
    "a_device_deep": "a/aux/b.txt",
    "a_port": "com1.txt",
    "a_stream": "ab:evil.txt",
    "a_pattern": "a*?.txt",
    "turned_writing": "a\u202etxt.tnp.txt",
    "a_dot_at_the_end": "a./readme.txt",
    "a_blank_at_the_end": "readme.txt ",
}
_named = {
    f"doubles.member_named_{title}": lambda name=name: beside(Part(name, b"hi", flags=0x800 * (not name.isascii())))
    for title, name in ODD_NAMES.items()
}
each(ERROR, "Z-PORTABLE", "pack.zip", klass=25, rows=_named)


@attack(ERROR, "Z-NAME", "pack.zip", klass=21)
def folder_with_content() -> bytes:
    """The directory says size 0, and two kilobytes lie behind the header all the same."""
    whole = bytearray(beside(Part("d/", b"EVIL" * 500, method=8)))
    local, central = whole.index(b"PK\3\4", 30), whole.rindex(b"PK\1\2")
    struct.pack_into("<I", whole, local + 22, 0)
    struct.pack_into("<I", whole, central + 24, 0)
    return bytes(whole)


@attack(ERROR, "Z-LAYOUT", "pack.zip", klass=21)
def field_of_times_that_holds_kilobytes() -> bytes:
    return beside(Part("a.txt", b"hi", extra=struct.pack("<HH", 0x5455, 3000) + b"EVIL" * 750))


@attack(ERROR, "Z-LAYOUT", "model.ckpt", klass=21)
def padding_of_one_letter() -> bytes:
    return zipped(
        [Part("archive/data.pkl", pickled(b"}"), extra=struct.pack("<HH", 0x4246, 3000) + b"E" * 3000), Part("archive/version", b"3\n")]
    )


@attack(ERROR, "Z-MACOS", "pack.zip", klass=23)
def notes_of_macos() -> bytes:
    return beside(Part("__MACOSX/._lora.safetensors", b"\0\5\x16\7" + bytes(60)))


@attack(ERROR, "S-ENTRY", "model.safetensors", klass=31)
def minus_zero() -> bytes:
    return written({"a": entry(0, 16, 4)}).replace(b"[0, 16]", b"[-0,16]")


@attack(ERROR, "S-HEADER-SIZE", "model.safetensors", klass=33)
def metadata_of_millions() -> bytes:
    header = b'{"__metadata__":{' + b",".join(b'"%x":""' % number for number in range(900_000)) + b"}}"
    return struct.pack("<Q", len(header)) + header


@attack(ERROR, "I-LIMIT", "a.webp", klass=33)
def webp_of_millions_of_nothing() -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + 8 * 300_000) + b"WEBP" + b"XXXX\0\0\0\0" * 300_000


@attack(DANGER, "Z-PORTABLE", "pack.zip", klass=25)
def payload_under_a_turned_name() -> bytes:
    return beside(Part("a\u202etxt.pt", PAYLOAD, flags=0x800))
