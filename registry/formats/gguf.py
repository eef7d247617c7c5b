"""A GGUF file walked from its first to its last byte: key-values by type, tensors by place. No tensor is read, no template judged.

Layout: ggml's docs/gguf.md, versions 2 and 3; element blocks: ggml-common.h; placing: `gguf_init_from_file` (offsets in order, padded).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from registry.formats.cursor import Cursor
from registry.formats.errors import FormatError, LimitExceeded, Unsupported
from registry.formats.plaintext import is_plain, printable
from registry.formats.window import Window

MAGIC = b"GGUF"
MAX_KEYS = 4096
MAX_TENSORS = 65_536
MAX_ELEMENTS = 4_000_000
"""Array elements in all; vocabularies have up to 300,000 tokens, scores and merges each."""
MAX_NAME = 256
MAX_TEXT = 64 << 20
MAX_KEPT = 1 << 20
"""Bytes of one text that is kept (a chat template); the longest in the field are under 30 kB."""
MAX_NESTING = 2
MAX_ALIGNMENT = 1 << 16

_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Type of a value -> its bytes; 7 is a bool."""
_BOOL, _TEXT, _ARRAY, _UINT32 = 7, 8, 9, 4

_BLOCKS: dict[int, tuple[int, int]] = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
    40: (64, 36), 41: (128, 18),
}  # fmt: skip
"""ggml type -> (elements per block, bytes per block). Types that live only while computing (Q8_1, Q8_K) and removed ones are left out."""

TEMPLATE_KEY = "tokenizer.chat_template"


@dataclass(frozen=True, slots=True)
class Model:
    """What the walk found: counts, bytes of all tensors, and the chat templates as (key, raw text)."""

    version: int
    tensors: int
    nbytes: int
    templates: tuple[tuple[str, bytes], ...]


def read_gguf(window: Window) -> Model:
    """Walk the whole file; raises `FormatError` with a "G-" code where a byte belongs to nothing or a value is out of bounds."""
    cursor = Cursor(window)
    cursor.skip(4)
    version, tensors, keys = cursor.unpack("<IQQ")
    if version not in (2, 3):
        raise Unsupported("G-VERSION", "This GGUF file has another version than 2 or 3, or byte order. Convert it anew.")
    if tensors > MAX_TENSORS or keys > MAX_KEYS:
        raise LimitExceeded("G-LIMIT", "This GGUF file states more tensors or keys than models have.", offset=8)
    walk = _Walk(cursor)
    for _ in range(keys):
        walk.pair()
    infos = [walk.tensor() for _ in range(tensors)]
    if len({name for name, _, _ in infos}) != len(infos):
        raise FormatError("G-DUP", "This GGUF file names a tensor twice; readers disagree on which counts.")
    end = _check_places(window, cursor.position, walk.alignment, infos)
    _check_end(window, end, walk.alignment)
    return Model(version, len(infos), sum(size for _, _, size in infos), tuple(walk.templates))


class _Walk:
    """Reads the parts in front of the data one after another."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.alignment = 32
        self.templates: list[tuple[str, bytes]] = []
        self._keys: set[str] = set()
        self._elements = MAX_ELEMENTS

    def name(self, what: str) -> str:
        at = self.cursor.position
        length = self.cursor.number(8)
        if not 0 < length <= MAX_NAME:
            raise FormatError("G-NAME", f"A {what} of this GGUF file is empty or too long.", offset=at)
        try:
            text = self.cursor.take(length).decode()
        except UnicodeDecodeError as error:
            raise FormatError("G-NAME", f"A {what} of this GGUF file is not text.", offset=at) from error
        if not is_plain(text):
            raise FormatError("G-NAME", f"A {what} of this GGUF file holds control characters.", offset=at)
        return text

    def pair(self) -> None:
        """One key and its value."""
        key = self.name("key")
        if key in self._keys:
            raise FormatError("G-DUP", "This GGUF file gives a key twice; readers disagree on which counts.", where=printable(key))
        self._keys.add(key)
        kind = self.cursor.number(4)
        if key == TEMPLATE_KEY or key.startswith(TEMPLATE_KEY + ".") or (kind == _TEXT and "template" in key.casefold()):
            self._template(key, kind)
        elif key == "general.alignment":
            self._alignment(kind)
        else:
            self._value(kind, 0)

    def _template(self, key: str, kind: int) -> None:
        if kind != _TEXT:
            raise FormatError("G-TYPE", "The chat template of this GGUF file is not a text.", where=printable(key))
        length = self.cursor.number(8)
        if length > MAX_KEPT:
            raise LimitExceeded("G-LIMIT", "The chat template of this GGUF file is longer than templates are.", where=printable(key))
        self.templates.append((key, self.cursor.take(length)))

    def _alignment(self, kind: int) -> None:
        value = self.cursor.number(4) if kind == _UINT32 else 0
        if not 8 <= value <= MAX_ALIGNMENT or value & (value - 1):
            raise FormatError("G-ALIGN", "This GGUF file states an alignment that no program writes.")
        self.alignment = value

    def _value(self, kind: int, depth: int) -> None:
        if kind == _TEXT:
            self._text()
        elif kind == _ARRAY:
            self._array(depth)
        elif kind == _BOOL:
            self._bools(1)
        elif kind in _WIDTHS:
            self.cursor.skip(_WIDTHS[kind])
        else:
            raise FormatError("G-TYPE", "A value of this GGUF file has a type that does not exist.", offset=self.cursor.position)

    def _text(self) -> None:
        length = self.cursor.number(8)
        if length > MAX_TEXT:
            raise LimitExceeded("G-LIMIT", "A text of this GGUF file is longer than models need.", offset=self.cursor.position)
        self.cursor.skip(length)

    def _bools(self, count: int) -> None:
        if set(self.cursor.take(count)) - {0, 1}:
            raise FormatError("G-TYPE", "A flag of this GGUF file is neither true nor false.", offset=self.cursor.position)

    def _array(self, depth: int) -> None:
        kind, count = self.cursor.unpack("<IQ")
        self._elements -= count
        if self._elements < 0 or depth >= MAX_NESTING:
            raise LimitExceeded("G-LIMIT", "A list of this GGUF file is longer or deeper than models need.", offset=self.cursor.position)
        if kind == _BOOL:
            self._bools(count)
        elif kind in _WIDTHS:
            self.cursor.skip(count * _WIDTHS[kind])
        elif kind == _TEXT:
            if self.cursor.skip_sized(count, MAX_TEXT):
                raise LimitExceeded("G-LIMIT", "A text of this GGUF file is longer than models need.", offset=self.cursor.position)
        else:
            for _ in range(count):
                self._value(kind, depth + 1)

    def tensor(self) -> tuple[str, int, int]:
        """(name, offset from the start of the data, bytes) of the next tensor."""
        name = self.name("tensor name")
        dimensions = self.cursor.number(4)
        if not 0 < dimensions <= 4:
            raise FormatError("G-SHAPE", "A tensor of this GGUF file has more dimensions than ggml knows.", where=printable(name))
        shape = self.cursor.unpack(f"<{dimensions}Q")
        kind, offset = self.cursor.unpack("<IQ")
        if kind not in _BLOCKS:
            raise Unsupported("G-TYPE", "A tensor of this GGUF file has an element type that is not known here.", where=printable(name))
        elements, size = _BLOCKS[kind]
        if prod(shape) >= 1 << 50 or shape[0] % elements:
            raise FormatError("G-SHAPE", "A tensor's shape does not fit its element type.", where=printable(name))
        return name, offset, prod(shape) // elements * size


def _padded(position: int, alignment: int) -> int:
    return (position + alignment - 1) // alignment * alignment


def _check_zeros(window: Window, start: int, end: int) -> None:
    if end > start and any(window.read(start, end - start)):
        raise FormatError("G-PADDING", "The padding of this GGUF file holds data that belongs to nothing.", offset=start)


def _check_places(window: Window, position: int, alignment: int, infos: list[tuple[str, int, int]]) -> int:
    """Every tensor starts where the one before it ended, rounded up, with zeros between. Returns where the last ends."""
    if not infos:
        return position
    base = _padded(position, alignment)
    at = position
    for name, offset, size in infos:
        start = _padded(at, alignment)
        if base + offset != start:
            raise FormatError("G-PLACE", "A tensor of this GGUF file does not lie where the one before it ends.", where=printable(name))
        if start + size > window.size:
            raise FormatError("F-TRUNCATED", "The file ends before its last tensor; upload the whole file.", where=printable(name))
        _check_zeros(window, at, start)
        at = start + size
    return at


def _check_end(window: Window, end: int, alignment: int) -> None:
    """Behind the last tensor there may be zeros up to the next multiple of the alignment, and nothing else."""
    if window.size > _padded(end, alignment):
        raise FormatError("G-TRAILING", "There are bytes behind the last tensor that belong to nothing.", offset=end)
    _check_zeros(window, end, window.size)
