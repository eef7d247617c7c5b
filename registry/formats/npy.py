"""The header of a numpy array file (.npy), by a grammar of our own that takes numbers only. Nothing is evaluated, no element is read.

Layout: numpy/lib/format.py, versions 1.0 to 3.0. numpy reads the header as Python source; here it has to be the one form it writes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from math import prod

from registry.formats.errors import FormatError
from registry.formats.window import Window

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
"""Bytes; numpy's own bound (`max_header_size`)."""
MAX_DIMENSIONS = 32

_ENTRY = re.compile(
    r""" *(?P<q>['"])(?P<key>descr|fortran_order|shape)(?P=q) *: *"""
    r"""(?:(?P<d>['"])(?P<text>[<>|=]?[A-Za-z?](?:[1-9]\d{0,8})?)(?P=d)|(?P<flag>True|False)|\((?P<shape>[\d, L]{0,800})\))"""
    r""" *(?P<end>,|(?=\}))"""
)
_COUNT = r" ?(?:0|[1-9]\d{0,17})L?"
_SHAPE = re.compile(rf"(?:{_COUNT},(?:{_COUNT},)*(?:{_COUNT})?)?")
_NUMBERS = {
    "b": (1,), "?": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8, 12, 16), "c": (8, 16, 24, 32),
}  # fmt: skip
"""Kind of number -> bytes per element (the odd ones are C's long double)."""


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What the header says: numpy's type string, the shape, the order of elements, and the bytes [start, start + size) they fill."""

    descr: str
    shape: tuple[int, ...]
    fortran: bool
    start: int
    size: int


def read_npy(window: Window) -> ArrayHeader:
    """The header, shown to describe exactly the rest of the file. Raises `FormatError`:

    "N-OBJECT" (Python objects or structures inside), "N-DTYPE" (other things than numbers), "N-HEADER", "N-SIZE".
    """
    text, start = _text(window)
    descr, flag, shape = _fields(text)
    size = prod(shape) * _itemsize(descr)
    if start + size > window.size:
        raise FormatError("F-TRUNCATED", "The array ends before its last number; upload the whole file.", offset=start)
    if start + size < window.size:
        raise FormatError("N-SIZE", "There are bytes behind the array's last number that belong to nothing.", offset=start + size)
    return ArrayHeader(descr, shape, flag == "True", start, size)


def data_start(window: Window) -> int:
    """Where the elements begin, whatever they are."""
    return _text(window)[1]


def _text(window: Window) -> tuple[str, int]:
    """The header's text without its padding, and the offset of the first element."""
    head = window.read(0, 8)
    if head[:6] != MAGIC or head[6] not in (1, 2, 3) or head[7]:
        raise FormatError("N-HEADER", "The array file has a version that numpy does not write.")
    width = 2 if head[6] == 1 else 4
    (length,) = struct.unpack("<H" if width == 2 else "<I", window.read(8, width))
    if length > MAX_HEADER:
        raise FormatError("N-HEADER", "The array's header is longer than numpy takes.")
    raw = window.read(8 + width, length)
    if not raw.isascii() or not raw.endswith(b"\n") or b"\0" in raw:
        raise FormatError("N-HEADER", "The array's header is not the plain text that numpy writes.")
    return raw[:-1].decode("ascii").rstrip(" "), 8 + width + length


def _fields(text: str) -> tuple[str, str, tuple[int, ...]]:
    """(descr, "True" or "False", shape) of a header in the one form that is taken."""
    if not text.startswith("{") or not text.endswith("}"):
        raise _not_a_header(text)
    found: dict[str, str] = {}
    at = 1
    while text[at:] != "}":
        match = _ENTRY.match(text, at)
        if match is None or match["key"] in found:
            raise _not_a_header(text)
        value = match[{"descr": "text", "fortran_order": "flag", "shape": "shape"}[match["key"]]]
        if value is None:
            raise _not_a_header(text)
        found[match["key"]] = value
        at = match.end()
        while text[at : at + 1] == " ":
            at += 1
    if len(found) != 3 or not _SHAPE.fullmatch(found["shape"]):
        raise _not_a_header(text)
    shape = tuple(int(part.strip(" L")) for part in found["shape"].split(",") if part.strip())
    if len(shape) > MAX_DIMENSIONS or prod(shape) >= 1 << 60:
        raise FormatError("N-HEADER", "The array's shape is larger than any array.")
    return found["descr"], found["fortran_order"], shape


def _not_a_header(text: str) -> FormatError:
    """Structures and objects are told apart from damage: numpy unpickles what holds an object."""
    if re.search(r"""['"]descr['"]\s*:\s*[\[({]""", text) or re.search(r"""['"][<>|=]?[OV]\d*['"]""", text):
        return _not_numbers()
    return FormatError("N-HEADER", "The array's header is not in the form that numpy writes. Save it again with numpy.save.")


def _not_numbers() -> FormatError:
    return FormatError("N-OBJECT", "This array holds Python objects or structures, which numpy loads by running a pickle. Save numbers.")


def _itemsize(descr: str) -> int:
    kind, digits = descr.lstrip("<>|=")[0], descr.lstrip("<>|=")[1:]
    if kind in "OV":
        raise _not_numbers()
    size = int(digits or 1)
    if kind not in _NUMBERS or size not in _NUMBERS[kind] or (kind == "?") == bool(digits):
        raise FormatError("N-DTYPE", "This array does not hold numbers (it may be text or dates), so it is no weight file.")
    return size
