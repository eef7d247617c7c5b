"""The header of a .safetensors file, read by the reference rules and stricter. It reads no tensor bytes and writes nothing.

Rules: safetensors/src/tensor.rs (0.8) `SafeTensors::read_metadata` and `Metadata::validate`; added here: no duplicate keys,
smaller bounds, names and metadata that are text.
"""

from __future__ import annotations

import gc
import json
import struct
from dataclasses import dataclass
from math import prod
from operator import itemgetter
from threading import Lock
from typing import Any, NoReturn

from registry.formats.directory import Storage, TensorDirectory, TensorEntry, row_major
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError, LimitExceeded, Unsupported
from registry.formats.plaintext import is_plain, printable
from registry.formats.window import Window

MAX_HEADER = 25 << 20
"""Bytes; the largest seen in the field (kohya tag counts) is under 2 MB, the format itself allows 100 MB."""

MAX_TENSORS = 200_000
MAX_NUMBERS = 16 * MAX_TENSORS
MAX_QUOTES = 10 * MAX_TENSORS + 100_000
"""A tensor's entry has ten, an entry of the metadata four (those within a text are escaped, and do not count)."""
MAX_DIMENSIONS = 32
FIELDS = frozenset({"dtype", "shape", "data_offsets"})
INTEGERS = frozenset({int})
SUB_BYTE = frozenset({"F4", "F6_E2M3", "F6_E3M2"})


def looks_like_safetensors(head: bytes) -> bool:
    """Whether the first 9 bytes of a file are a length and an opening brace."""
    return len(head) >= 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < 1 << 40


Row = tuple[str, str, tuple[int, ...], int, int]
"""Name, dtype, shape, begin and end of one tensor; bytes from the start of the data."""


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header without its file: the tensors in file order, which follow each other without a gap from byte 0 of the data."""

    rows: tuple[Row, ...]
    metadata: dict[str, str]

    @property
    def data_bytes(self) -> int:
        """Bytes that the tensors fill."""
        return self.rows[-1][4] if self.rows else 0

    def check_size(self, available: int) -> None:
        """Raises `FormatError` unless exactly the tensors' bytes follow the header: bytes that belong to none could be anything."""
        if self.data_bytes < available:
            raise FormatError("S-TRAILING", "There are bytes behind the last tensor. Save the file again with the safetensors library.")
        if self.data_bytes > available:
            raise FormatError("F-TRUNCATED", "The file ends before its last tensor; upload the whole file.")


def read_safetensors(window: Window) -> TensorDirectory:
    """Where every tensor lies, one storage a tensor, in file order; raises `FormatError` with an "S-" code."""
    if window.size < 8:
        raise FormatError("F-TRUNCATED", "The file is too short to be safetensors.")
    length = header_length(window.read(0, 8))
    header, start = parse_header(window.read(8, length)), 8 + length
    header.check_size(window.size - start)
    storages = tuple(Storage(name, start + begin, end - begin) for name, _, _, begin, end in header.rows)
    tensors = tuple(
        TensorEntry((name,), dtype, shape, index, 0, row_major(shape)) for index, (name, dtype, shape, _, _) in enumerate(header.rows)
    )
    return TensorDirectory("safetensors", storages, tensors, header.metadata)


def header_length(head: bytes) -> int:
    """Bytes of JSON that the first 8 bytes of a file announce; raises `FormatError` if that is more than is read."""
    (length,) = struct.unpack("<Q", head)
    if length > MAX_HEADER:
        raise LimitExceeded("S-HEADER-SIZE", f"The safetensors header is larger than {MAX_HEADER >> 20} MB; no model needs that.")
    return int(length)


def parse_header(header: bytes) -> Header:
    """The JSON header (at most `MAX_HEADER` bytes of it), checked in itself; what follows it is for `Header.check_size` to compare.

    Raises `FormatError` with an "S-" code.
    """
    # Counted before parsing: a list of a million empty lists costs far more memory parsed than as text.
    if header.count(b"{") > 2 * MAX_TENSORS or header.count(b"[") > 3 * MAX_TENSORS or header.count(b",") > MAX_NUMBERS:
        raise LimitExceeded("S-HEADER-SIZE", f"The safetensors header describes more than {MAX_TENSORS} tensors.")
    if header.count(b'"') - header.count(b'\\"') > MAX_QUOTES:
        raise LimitExceeded("S-HEADER-SIZE", "The safetensors header holds more names than a model has.")
    with _no_cycles_sought:
        entries = _parse(header)
        metadata = _metadata(entries.pop("__metadata__", {}))
        rows = sorted((_row(name, info) for name, info in entries.items()), key=itemgetter(3, 4))
    _check_tiling(rows)
    return Header(tuple(rows), metadata)


class _Pause:
    """Keeps the collector of cycles from looking at a growing header again and again, which takes half of the time; JSON has no cycles.

    Threads may be inside of it together: the collector is as it was when the last one leaves.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._was_on = Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._was_on = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._was_on:
                gc.enable()


_no_cycles_sought = _Pause()


def _parse(header: bytes) -> dict[str, Any]:
    if not header.startswith(b"{"):
        raise FormatError("S-JSON", "The safetensors header does not start as it must.", offset=8)
    whole = _count if b"-" in header else int  # the check is a call for every number, and mostly there is no minus to be found
    try:
        parsed = json.loads(
            header.decode().rstrip(" "), object_pairs_hook=_unique, parse_int=whole, parse_constant=_refuse, parse_float=_refuse
        )
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError("S-JSON", "The safetensors header is not valid JSON text.", offset=8) from error
    if header.rstrip(b" ")[-1:] != b"}":
        raise FormatError("S-JSON", "The safetensors header is padded with something other than spaces.", offset=8)
    if len(parsed) - ("__metadata__" in parsed) > MAX_TENSORS:
        raise LimitExceeded("S-HEADER-SIZE", f"The safetensors header describes more than {MAX_TENSORS} tensors.")
    entries: dict[str, Any] = parsed
    return entries


def _refuse(_text: str) -> NoReturn:
    raise FormatError("S-JSON", "The safetensors header holds a number that is not a whole number.")


def _count(text: str) -> int:
    """A number; the reference refuses every minus, also that of -0."""
    if text.startswith("-"):
        raise FormatError("S-ENTRY", "A tensor's shape or place must be whole, non-negative numbers.")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("S-DUP", "The safetensors header names a key twice; readers disagree on which counts.")
    return found


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise FormatError("S-METADATA", "The safetensors metadata must map text to text.")
    for text in (*value.keys(), *value.values()):
        if "\0" in text or not _encodable(text):
            raise FormatError("S-METADATA", "The safetensors metadata holds characters that are not text.")
    return value


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _row(name: str, info: Any) -> Row:
    """One checked header entry: name, dtype, shape, begin and end (bytes from the start of the data)."""
    if not name or len(name) > 1024 or not is_plain(name):
        raise _wrong("S-NAME", "A tensor's name is empty, too long or holds characters that are not text.", name)
    if not isinstance(info, dict) or info.keys() != FIELDS:
        raise _wrong("S-ENTRY", "An entry of the safetensors header lacks a field or has one too many.", name)
    dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not _whole(shape) or not _whole(offsets) or len(offsets) != 2 or len(shape) > MAX_DIMENSIONS:
        raise _wrong("S-ENTRY", "A tensor's shape or place must be whole, non-negative numbers.", name)
    if not isinstance(dtype, str) or dtype not in SIZES:
        if isinstance(dtype, str) and dtype in SUB_BYTE:
            raise Unsupported("S-DTYPE", f"Tensors of type {dtype} are not taken yet; save them as F8 or F16.", where=printable(name))
        raise _wrong("S-DTYPE", "A tensor has an element type that safetensors does not know.", name)
    begin, end = offsets
    if end - begin != prod(shape) * SIZES[dtype]:
        raise _wrong("S-SIZE", "A tensor's bytes do not match its shape and type.", name)
    return name, dtype, tuple(shape), begin, end


def _wrong(code: str, sentence: str, name: str) -> FormatError:
    return FormatError(code, sentence, where=printable(name))


def _whole(values: Any) -> bool:
    return isinstance(values, list) and (
        not values or (INTEGERS.issuperset(map(type, values)) and 0 <= min(values) <= max(values) < 1 << 63)
    )


def _check_tiling(rows: list[Row]) -> None:
    """Tensors, in order, must fill the data without gaps; whether they fill all of it is `Header.check_size`'s to say."""
    at = 0
    for name, _, _, begin, end in rows:
        if begin != at:
            code, what = ("S-OVERLAP", "Two tensors share bytes.") if begin < at else ("S-HOLE", "There are bytes between two tensors.")
            raise FormatError(code, f"{what} Save the file again with the safetensors library.", where=printable(name))
        at = end
