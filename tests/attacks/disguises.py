"""Files that are not what their name says, and wrappers that no scanner can see into."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib

from tests.attacks.assemble import (
    MAGIC_STREAM,
    SYSTEM_STREAM,
    VERSION_STREAM,
    Part,
    legacy,
    mapping,
    pickled,
    storage,
    system,
    tensor,
    torch_zip,
    zipped,
)
from tests.attacks.catalogue import attack, each
from tests.attacks.headers import entry, written

DANGER, ERROR = "danger", "error"
PAYLOAD = pickled(system())


@attack(DANGER, "F-EXTENSION", klass=26)
def picture_named_checkpoint() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(64)


@attack(ERROR, "I-PARSE", "preview.png", klass=26)
def broken_picture() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(64)


@attack(DANGER, "F-EXTENSION", "model.safetensors", klass=26)
def pickle_named_safetensors() -> bytes:
    return PAYLOAD


@attack(DANGER, "F-EXTENSION", "model.safetensors", klass=26)
def harmless_checkpoint_named_safetensors() -> bytes:
    return torch_zip()


@attack(DANGER, "F-EXTENSION", "cat.png", klass=26)
def checkpoint_named_picture() -> bytes:
    return torch_zip()


@attack(DANGER, "F-EXTENSION", "readme.txt", klass=26)
def pickle_named_text() -> bytes:
    return pickled(b"}")


@attack(ERROR, "F-EXTENSION", klass=26)
def safetensors_named_checkpoint() -> bytes:
    return written({"a": entry(0, 16, 4)})


@attack(ERROR, "F-EXTENSION", "model", klass=26)
def checkpoint_without_extension() -> bytes:
    return torch_zip()


@attack(ERROR, "F-EMPTY", klass=14)
def empty_file() -> bytes:
    return b""


@attack(ERROR, "F-PACKED", klass=27)
def gzipped() -> bytes:
    return gzip.compress(PAYLOAD, mtime=0)


@attack(ERROR, "F-PACKED", klass=27)
def bzipped() -> bytes:
    return bz2.compress(PAYLOAD)


@attack(ERROR, "F-PACKED", klass=27)
def xzipped() -> bytes:
    return lzma.compress(PAYLOAD)


@attack(ERROR, "F-PACKED", klass=27)
def zlibbed() -> bytes:
    return zlib.compress(PAYLOAD)


each(
    ERROR,
    "F-PACKED",
    klass=27,
    rows={
        "disguises.lzma_of_old": lambda: lzma.compress(PAYLOAD, format=lzma.FORMAT_ALONE),
        "disguises.seven_zip": lambda: b"7z\xbc\xaf\x27\x1c\0\4" + bytes(64),
        "disguises.packed_tar": lambda: gzip.compress(bytes(257) + b"ustar\0" + b"00" + bytes(700), mtime=0),
        "disguises.joblib_of_old": lambda: b"ZF" + b"0x45".ljust(19) + zlib.compress(PAYLOAD),
        "disguises.joblib": lambda: zlib.compress(PAYLOAD, 3),
        "disguises.zstd": lambda: b"\x28\xb5\x2f\xfd" + bytes(64),
        "disguises.lz4": lambda: b"\x04\x22\x4d\x18" + bytes(64),
        "disguises.rar": lambda: b"Rar!\x1a\x07\x01\0" + bytes(64),
    },
)


@attack(DANGER, "F-PROGRAM", klass=26)
def linux_program() -> bytes:
    return b"\x7fELF\2\1\1" + bytes(64)


@attack(DANGER, "F-PROGRAM", klass=26)
def windows_program() -> bytes:
    return b"MZ\x90\0" + bytes(64)


@attack(DANGER, "F-PROGRAM", "model.safetensors", klass=26)
def script() -> bytes:
    return b"#!/bin/sh\ntrue\n"


@attack(DANGER, "F-PROGRAM", klass=26)
def web_page() -> bytes:
    return b"<!DOCTYPE html><html><script>alert(1)</script>"


@attack(ERROR, "G-TRAILING", "model.gguf", klass=32)
def gguf_of_nothing() -> bytes:
    return b"GGUF\3\0\0\0" + bytes(64)


@attack(ERROR, "F-UNSUPPORTED", "model.h5", klass=32)
def keras_file() -> bytes:
    return b"\x89HDF\r\n\x1a\n" + bytes(64)


@attack(ERROR, "F-UNSUPPORTED", klass=29)
def tar_archive() -> bytes:
    return bytes(257) + b"ustar\0" + b"00" + bytes(700)


@attack(ERROR, "F-UNKNOWN", klass=26)
def random_text() -> bytes:
    return b"hello, these are not weights at all"


@attack(ERROR, "F-UNKNOWN", "model.safetensors", klass=26)
def noise_named_safetensors() -> bytes:
    return b"\xff" * 600


def tar_header(front: bytes) -> bytes:
    """A first tar block (old style, without "ustar") whose member name starts with `front`, which fills up to byte 100."""
    block = bytearray(front.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"00000000000\0" * 2 + b" " * 8)
    block += b"0" + bytes(512 - 157)
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@attack(DANGER, "F-POLYGLOT", klass=29)
def tar_that_is_also_a_legacy_checkpoint() -> bytes:
    """torch.load tries tar first: the pickles in front are honest, the ones it would take lie in the archive behind them.

    Streams 1 and 2 and the start of a text in stream 3 make the name of the first member; the text swallows the rest of the block.
    """
    front = MAGIC_STREAM + VERSION_STREAM + b"\x80\x02}X\x01\0\0\0aX"
    length = 512 - len(front) - 4
    block = tar_header(front + length.to_bytes(4, "little"))
    return block + b"s." + legacy()[len(MAGIC_STREAM + VERSION_STREAM + SYSTEM_STREAM) :]


@attack(DANGER, "F-POLYGLOT", klass=22)
def zip_inside_the_last_storage() -> bytes:
    """Every byte belongs to a tensor, and the last tensor is a zip archive."""
    inner = zipped([Part("archive/data.pkl", PAYLOAD)])
    stored = storage(kind="ByteStorage", count=len(inner), extra=b"N")
    weight = tensor(stored, shape=(len(inner),), stride=(1,))
    return legacy(b"", b"", b"", pickled(mapping(weight=weight)), tail=struct.pack("<q", len(inner)) + inner)


@attack(DANGER, "F-POLYGLOT", "model.safetensors", klass=22)
def zip_inside_the_last_tensor() -> bytes:
    inner = zipped([Part("__main__.py", b"print('owned')")])
    return written({"a": entry(0, len(inner), len(inner), dtype="U8")}, inner)
