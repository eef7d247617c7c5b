"""An ONNX model walked field by field to its last byte: where its tensors say they lie, and which operators it wants. Runs nothing.

The wire format is protobuf's; the messages and field numbers are those of onnx.proto (onnx 1.20). A field that is not in the table is
refused, so that no byte goes unread. Values that are only data (numbers, texts, raw tensors) are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from registry.formats.cursor import Cursor
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import printable
from registry.formats.window import Window
from registry.formats.zipnames import is_portable

MAX_FIELDS = 1_000_000
"""Numbers of the wire format; a Stable Diffusion UNet has about ten thousand nodes of twenty fields."""
MAX_DEPTH = 40
MAX_TEXT = 4096
"""Bytes of a text that is looked at (domains, external places)."""
MAX_KEPT = 64
"""Domains and external files that are told."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

NUMBER, DATA, TEXT, F32, F64 = "number", "data", "text", "f32", "f64"
"""What a field may be beside a message: DATA is packed or raw and passed over, TEXT is read, F32 may also come packed."""

SCHEMA: dict[str, dict[int, str]] = {
    "Model": {1: NUMBER, 2: DATA, 3: DATA, 4: DATA, 5: NUMBER, 6: DATA, 7: "Graph", 8: "Opset", 14: "Entry", 20: "Training",
              25: "Function", 26: "Device"},
    "Graph": {1: "Node", 2: DATA, 5: "Tensor", 10: DATA, 11: "Value", 12: "Value", 13: "Value", 14: "Annotation", 15: "Sparse",
              16: "Entry"},
    "Node": {1: DATA, 2: DATA, 3: DATA, 4: DATA, 5: "Attribute", 6: DATA, 7: TEXT, 8: DATA, 9: "Entry", 10: "NodeDevice"},
    "Attribute": {1: DATA, 2: F32, 3: NUMBER, 4: DATA, 5: "Tensor", 6: "Graph", 7: F32, 8: NUMBER, 9: DATA, 10: "Tensor", 11: "Graph",
                  13: DATA, 14: "Type", 15: "Type", 20: NUMBER, 21: DATA, 22: "Sparse", 23: "Sparse"},
    "Tensor": {1: NUMBER, 2: NUMBER, 3: "Segment", 4: F32, 5: NUMBER, 6: DATA, 7: NUMBER, 8: DATA, 9: DATA, 10: F64, 11: NUMBER,
               12: DATA, 13: "External", 14: NUMBER, 16: "Entry"},
    "Sparse": {1: "Tensor", 2: "Tensor", 3: NUMBER},
    "Segment": {1: NUMBER, 2: NUMBER},
    "External": {1: TEXT, 2: TEXT},
    "Entry": {1: DATA, 2: DATA},
    "Opset": {1: TEXT, 2: NUMBER},
    "Training": {1: "Graph", 2: "Graph", 3: "Entry", 4: "Entry"},
    "Function": {1: DATA, 4: DATA, 5: DATA, 6: DATA, 7: "Node", 8: DATA, 9: "Opset", 10: TEXT, 11: "Attribute", 12: "Value", 13: DATA,
                 14: "Entry"},
    "Annotation": {1: DATA, 2: "Entry"},
    "Value": {1: DATA, 2: "Type", 3: DATA, 4: "Entry"},
    "Type": {1: "TypeTensor", 4: "TypeSequence", 5: "TypeMap", 6: DATA, 7: "TypeOpaque", 8: "TypeTensor", 9: "TypeSequence"},
    "TypeTensor": {1: NUMBER, 2: "Shape"},
    "TypeSequence": {1: "Type"},
    "TypeMap": {1: NUMBER, 2: "Type"},
    "TypeOpaque": {1: DATA, 2: DATA},
    "Shape": {1: "Dimension"},
    "Dimension": {1: NUMBER, 2: DATA, 3: DATA},
    "Device": {1: DATA, 2: NUMBER, 3: DATA},
    "NodeDevice": {1: DATA, 2: "Sharding", 3: NUMBER},
    "Sharding": {1: DATA, 2: NUMBER, 3: "Group", 4: "Sharded"},
    "Group": {1: NUMBER, 2: NUMBER},
    "Sharded": {1: NUMBER, 2: "Simple"},
    "Simple": {1: NUMBER, 2: DATA, 3: NUMBER},
}  # fmt: skip
"""message -> field number -> what it holds: one of the words above, or a message."""

_WIRES: dict[str, frozenset[int]] = {
    NUMBER: frozenset({_VARINT, _BYTES}), DATA: frozenset({_BYTES}), TEXT: frozenset({_BYTES}),
    F32: frozenset({_FIXED32, _BYTES}), F64: frozenset({_FIXED64, _BYTES}),
}  # fmt: skip
_MESSAGE_WIRES = frozenset({_BYTES})

_FIRST = frozenset({0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72})
"""Tags that may follow `ir_version` at the start of a model."""


def looks_like_onnx(head: bytes) -> bool:
    """Whether a file begins with `ir_version` and another field of a model. No pickle does: its first byte is no opcode."""
    return len(head) >= 3 and head[0] == 0x08 and 0 < head[1] < 0x40 and head[2] in _FIRST


@dataclass(slots=True)
class OnnxModel:
    """What the walk found: tensors in the file, bytes of their data, names of outside files, domains of operators beyond ONNX's own."""

    tensors: int = 0
    bytes: int = 0
    external: list[str] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)


def read_onnx(window: Window) -> OnnxModel:
    """Walk the whole file; raises `FormatError` "O-PATH" for tensors outside of the model's folder, else "O-PARSE" or "O-LIMIT"."""
    walk = _Walk(Cursor(window))
    walk.message("Model", window.size, 0)
    if not walk.graphs or not walk.opsets:
        raise FormatError("O-PARSE", "This ONNX file is cut short: it lacks its graph, or says nothing of its operators.")
    return walk.found


class _Walk:
    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.found = OnnxModel()
        self.graphs = self.opsets = 0
        self._fields = MAX_FIELDS

    def message(self, kind: str, end: int, depth: int) -> None:
        """Every field of one message up to `end` (bytes from the file's start)."""
        if depth > MAX_DEPTH:
            raise LimitExceeded("O-LIMIT", "This ONNX file is nested deeper than models are.", offset=self.cursor.position)
        self._count(kind)
        fields = SCHEMA[kind]
        texts: dict[int, bytes] = {}
        cursor = self.cursor
        while cursor.position < end:
            at = cursor.position
            tag = self._varint(end)
            number, wire = tag >> 3, tag & 7
            what = fields.get(number)
            if what is None or wire not in _WIRES.get(what, _MESSAGE_WIRES):
                raise FormatError("O-PARSE", f"This ONNX file holds a field that no {kind.lower()} has.", offset=at)
            if wire != _BYTES:
                self._scalar(wire, end)
            elif what in SCHEMA:
                self.message(what, self._length(end), depth + 1)
            else:
                self._bytes(kind, number, what, end, texts)
        if cursor.position != end:
            raise FormatError("O-PARSE", "A part of this ONNX file reaches beyond what it belongs to.", offset=cursor.position)
        self._keep(kind, texts)

    def _count(self, kind: str) -> None:
        self.graphs += kind == "Graph"
        self.opsets += kind == "Opset"
        self.found.tensors += kind == "Tensor"

    def _varint(self, end: int) -> int:
        self._fields -= 1
        if self._fields < 0:
            raise LimitExceeded("O-LIMIT", "This ONNX file has more parts than models have.", offset=self.cursor.position)
        value = shift = 0
        while True:
            if self.cursor.position >= end or shift > 63:
                raise FormatError("O-PARSE", "A number of this ONNX file does not end.", offset=self.cursor.position)
            byte = self.cursor.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _scalar(self, wire: int, end: int) -> None:
        if wire == _VARINT:
            self._varint(end)
            return
        width = 8 if wire == _FIXED64 else 4
        if width > end - self.cursor.position:
            raise FormatError("O-PARSE", "A number of this ONNX file does not end.", offset=self.cursor.position)
        self.cursor.skip(width)

    def _length(self, end: int) -> int:
        """The end of a length-delimited field."""
        length = self._varint(end)
        if length > end - self.cursor.position:
            raise FormatError("O-PARSE", "A part of this ONNX file is longer than what it belongs to.", offset=self.cursor.position)
        return self.cursor.position + length

    def _bytes(self, kind: str, number: int, what: str, end: int, texts: dict[int, bytes]) -> None:
        stop = self._length(end)
        length = stop - self.cursor.position
        if what != TEXT:
            self.cursor.skip(length)
            self.found.bytes += length if kind == "Tensor" and number in (4, 5, 7, 9, 10, 11) else 0
            return
        if length > MAX_TEXT:
            raise LimitExceeded("O-LIMIT", "A name of this ONNX file is longer than names are.", offset=self.cursor.position)
        if number in texts:
            raise FormatError("O-PARSE", f"A {kind.lower()} of this ONNX file gives a field twice.", offset=self.cursor.position)
        texts[number] = self.cursor.take(length)

    def _keep(self, kind: str, texts: dict[int, bytes]) -> None:
        decoded = {number: self._text(raw) for number, raw in texts.items()}
        if kind == "External":
            self._external(decoded.get(1, ""), decoded.get(2, ""))
        elif kind in ("Node", "Opset", "Function"):
            domain = decoded.get({"Node": 7, "Opset": 1, "Function": 10}[kind], "")
            if domain not in ("", "ai.onnx", "ai.onnx.ml", *self.found.domains) and len(self.found.domains) < MAX_KEPT:
                self.found.domains.append(domain)

    def _text(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise FormatError("O-PARSE", "A name of this ONNX file is not text.", offset=self.cursor.position) from error

    def _external(self, key: str, value: str) -> None:
        """One note on where a tensor lies outside: only its `location` is a path."""
        if key == "basepath":
            raise _outside(value)
        if key not in ("location", "offset", "length", "checksum"):
            raise FormatError(
                "O-PARSE", "A tensor of this ONNX file says of its outside file what no program writes.", where=printable(key)
            )
        if key != "location":
            return
        if not is_plain_file_name(value):
            raise _outside(value)
        if value not in self.found.external and len(self.found.external) < MAX_KEPT:
            self.found.external.append(value)


def is_plain_file_name(name: str) -> bool:
    """Whether a name can only mean a file in the model's own folder, on every system."""
    return is_portable(name) and name == name.strip() and name.isprintable() and not any(char in name for char in "%~$")


def _outside(value: str) -> FormatError:
    return FormatError(
        "O-PATH",
        "This ONNX model takes its numbers from outside of its folder, so it could read any file.",
        where=printable(value),
    )
