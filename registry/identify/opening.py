"""Tensor directories for the command line: the header of a safetensors file, or what the scanner printed of a pickle. No pickle is read.

A directory that comes as JSON is text from anywhere: it is bounded and checked row by row before it is believed.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import Any

from registry.formats.directory import Storage, TensorDirectory, TensorEntry, row_major
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.safetensors import MAX_DIMENSIONS, MAX_TENSORS, looks_like_safetensors, read_safetensors
from registry.formats.window import Window

MAX_JSON = 128 << 20
MAX_DEPTH = 16
"""Bytes of a directory as JSON, and keys on the way to one tensor."""

ASK_THE_SCANNER = (
    "Ask the scanner for its tensors: python -m scanner.pickles FILE --json --tensors | python -m registry.identify --directory -"
)


def open_file(path: str) -> TensorDirectory:
    """The directory of a safetensors file, or of a `.json` file that holds one.

    Raises `FormatError` for what is neither ("identify:kind"), and `OSError` where the file cannot be read.
    """
    if path.endswith(".json") or path == "-":
        return open_directory(path)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FormatError("identify:kind", "This is no plain file.")
        head = os.pread(fd, 9, 0)
        if not looks_like_safetensors(head):
            if head[:4] == b"GGUF":
                raise FormatError(
                    "identify:kind", "This is a GGUF file, whose tensors are not identified; give the safetensors file instead."
                )
            raise FormatError("identify:kind", f"This is not a safetensors file. {ASK_THE_SCANNER}")
        return read_safetensors(Window(fd))
    finally:
        os.close(fd)


def open_directory(path: str) -> TensorDirectory:
    """A directory as JSON from a file, or from standard input ("-"): `TensorDirectory.to_json`, or a scan report that holds one."""
    if path == "-":
        text = sys.stdin.buffer.read(MAX_JSON + 1)
    else:
        with open(path, "rb") as file:
            text = file.read(MAX_JSON + 1)
    if len(text) > MAX_JSON:
        raise LimitExceeded("identify:directory", "This list of tensors is longer than any model's.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError("identify:directory", "This is not JSON text.") from error
    found = data.get("directory", data) if isinstance(data, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("tensors"), list):
        raise FormatError("identify:directory", "This holds no list of tensors. Print the scanner's report with --tensors.")
    return _checked(found)


def _checked(data: dict[str, Any]) -> TensorDirectory:
    """Names, shapes and metadata of it; where bytes lie is left out, for nothing here reads them."""
    rows, metadata = data["tensors"], data.get("metadata", {})
    if len(rows) > MAX_TENSORS:
        raise LimitExceeded("identify:directory", f"This list has more than {MAX_TENSORS} tensors.")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FormatError("identify:directory", "The metadata of this list must map text to text.")
    tensors = tuple(_row(row) for row in rows)
    return TensorDirectory(str(data.get("container", ""))[:40], (Storage("", 0, 0),), tensors, metadata)


def _row(row: Any) -> TensorEntry:
    """A row of the list: path, dtype, shape, and what is not needed here."""
    if isinstance(row, list) and len(row) >= 3:
        path, dtype, shape = row[:3]
        names = isinstance(path, list) and 0 < len(path) <= MAX_DEPTH and all(type(key) in (str, int) for key in path)
        dims = isinstance(shape, list) and len(shape) <= MAX_DIMENSIONS and all(type(size) is int and 0 <= size < 1 << 40 for size in shape)
        if names and dims and isinstance(dtype, str) and dtype in SIZES:
            return TensorEntry(tuple(path), dtype, tuple(shape), 0, 0, row_major(tuple(shape)))
    raise FormatError("identify:directory", "A row of this list is not the path, element type and shape of a tensor.")
