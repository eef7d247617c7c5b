"""Safetensors files whose header lies, overlaps, leaves room for something else, or is far too large."""

from __future__ import annotations

import json
import struct
from typing import Any

from tests.attacks.assemble import FLOATS, pickled, system
from tests.attacks.catalogue import attack

ERROR = "error"
NAME = "model.safetensors"


def framed(header: bytes, data: bytes = FLOATS) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def entry(begin: int, end: int, *shape: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def written(header: dict[str, Any], data: bytes = FLOATS) -> bytes:
    return framed(json.dumps(header).encode(), data)


@attack(ERROR, "S-HOLE", NAME, klass=31)
def hole() -> bytes:
    return written({"a": entry(0, 4, 1), "b": entry(8, 16, 2)})


@attack(ERROR, "S-OVERLAP", NAME, klass=31)
def overlap() -> bytes:
    return written({"a": entry(0, 12, 3), "b": entry(8, 16, 2)})


@attack(ERROR, "S-TRAILING", NAME, klass=31)
def payload_behind() -> bytes:
    return written({"a": entry(0, 16, 4)}, FLOATS + pickled(system()))


@attack(ERROR, "F-TRUNCATED", NAME, klass=31)
def truncated() -> bytes:
    return written({"a": entry(0, 16, 4)}, FLOATS[:-1])


@attack(ERROR, "S-SIZE", NAME, klass=31)
def shape_of_another_size() -> bytes:
    return written({"a": entry(0, 16, 3)})


@attack(ERROR, "S-SIZE", NAME, klass=31)
def shape_that_overflows() -> bytes:
    return written({"a": entry(0, 16, 1 << 62, 4)})


@attack(ERROR, "S-DUP", NAME, klass=31)
def doubled_key() -> bytes:
    one = json.dumps(entry(0, 16, 4))
    return framed(f'{{"a":{one},"a":{one}}}'.encode())


@attack(ERROR, "S-ENTRY", NAME, klass=31)
def negative_offset() -> bytes:
    return written({"a": entry(-4, 12, 4)})


@attack(ERROR, "S-JSON", NAME, klass=31)
def fractional_shape() -> bytes:
    return framed(b'{"a":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}}')


@attack(ERROR, "S-ENTRY", NAME, klass=31)
def field_too_many() -> bytes:
    return written({"a": entry(0, 16, 4) | {"code": "import os"}})


@attack(ERROR, "S-DTYPE", NAME, klass=31)
def unknown_type() -> bytes:
    return written({"a": entry(0, 16, 4, dtype="O")})


@attack(ERROR, "S-METADATA", NAME, klass=31)
def metadata_that_is_not_text() -> bytes:
    return written({"__metadata__": {"a": 1}, "a": entry(0, 16, 4)})


@attack(ERROR, "S-JSON", NAME, klass=31)
def nul_padding() -> bytes:
    return framed(json.dumps({"a": entry(0, 16, 4)}).encode() + b"\0\0\0")


@attack(ERROR, "S-JSON", NAME, klass=31)
def nested_without_end() -> bytes:
    return framed(b'{"a":' + b"[" * 100_000)


@attack(ERROR, "S-NAME", NAME, klass=31)
def name_with_a_lone_surrogate() -> bytes:
    return framed(b'{"\\ud800":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}')


@attack(ERROR, "S-HEADER-SIZE", NAME, klass=31)
def header_of_80_megabytes() -> bytes:
    return struct.pack("<Q", 80 << 20) + b'{"a":' + bytes(1000)


@attack(ERROR, "S-HEADER-SIZE", NAME, klass=31)
def list_of_millions() -> bytes:
    return framed(b'{"a":[' + b"[]," * 2_000_000 + b"[]]}")


@attack(ERROR, "F-TRUNCATED", NAME, klass=31)
def header_longer_than_the_file() -> bytes:
    return struct.pack("<Q", 5000) + b'{"a":1}'
