"""Other readers of pickles to hold ours against: `pickletools` for the opcodes, Python's own unpickler, with inert names, for the values.

The unpickler is shown only what the scanner called a success, and is given stand-ins for everything that a pickle may name.
"""

from __future__ import annotations

import collections
import io
import pickle
import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import Any

from registry.formats.window import Window
from scanner.pickles.machine import Machine
from scanner.pickles.opcodes import Stream, ahead
from scanner.pickles.report import Report
from scanner.pickles.values import Data, Glob, Group, Instance, Mapping

OPAQUE = "<opaque>"
"""What a value is that only its own library could make: arrays, dtypes, numbers of numpy."""

REAL: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "Counter"): collections.Counter,
    ("collections", "defaultdict"): collections.defaultdict,
    **{("builtins", kind.__name__): kind for kind in (set, frozenset, bytearray, bytes, complex, list, dict, int, float, str, bool, tuple)},
}
"""Names whose real meaning is plain data; they are given for real, everything else is a stand-in."""


class Inert:
    """Stands for a name or a thing that a pickle makes: may be called and given a state, and does nothing."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def encode(given: str, encoding: str) -> bytes:
    return given.encode(encoding)


class Restricted(pickle.Unpickler):
    """Python's unpickler without the power to import."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return encode
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        return REAL.get((module, name), Inert)

    def persistent_load(self, pid: Any) -> Any:
        raise AssertionError("a file that was accepted names storages where there are none")


def assert_same_view(body: bytes) -> None:
    """Fail where another reader sees other opcodes, makes other values, or raises. `body` must have been accepted."""
    theirs = [(at or 0, opcode.name, argument) for opcode, argument, at in pickletools.genops(body)]
    ours = ahead(Stream(Window(io.BytesIO(body))), len(body) + 1)
    assert [(at, name, _argument(name, value)) for at, name, value in ours] == [
        (at, name, _argument(name, value)) for at, name, value in theirs
    ], body
    made = Restricted(io.BytesIO(body), encoding="utf-8").load()
    seen = Machine(Stream(Window(io.BytesIO(body))), Report(), "pickle").run()
    assert outline(made) == outline(seen), body


def _argument(name: str, value: Any) -> Any:
    if name in ("GLOBAL", "INST"):
        return " ".join(value) if type(value) is tuple else value
    if name in ("STRING", "BINSTRING", "SHORT_BINSTRING") and type(value) is str:
        # pickletools reads these as ASCII or latin-1, torch.load as UTF-8; the bytes are what counts.
        return value.encode("latin-1", "replace") if value.isascii() else OPAQUE
    return repr(value) if type(value) is float else bytes(value) if type(value) is bytearray else value


def outline(value: Any, depth: int = 12) -> Any:
    """A value as nested plain tuples that can be compared, the same for the real thing and for its symbol."""
    if depth == 0:
        return "..."
    kind = type(value)
    if kind in (list, tuple):
        return (kind.__name__, tuple(outline(item, depth - 1) for item in value))
    if kind is Mapping or isinstance(value, dict):
        pairs = value.pairs if kind is Mapping else list(value.items())
        name = value.kind if kind is Mapping else kind.__name__
        found = {_hashable(key): (outline(key, depth - 1), outline(item, depth - 1)) for key, item in pairs}
        return (name, tuple(found.values()) if name != "OrderedDict" else tuple(sorted(found.values(), key=repr)))
    if kind is Group or kind in (set, frozenset):
        members = value.items if kind is Group else value
        name = value.kind if kind is Group else kind.__name__
        first = {_hashable(item): repr(_one(item, depth - 1)) for item in members}  # of equal members one stays
        return (name, tuple(sorted(first.values())))
    return _leaf(value)


def _one(member: Any, depth: int) -> Any:
    return "1 or True" if type(member) in (bool, int, float) and member == 1 else outline(member, depth)


def _hashable(key: Any) -> Any:
    """What makes two keys one: numbers are equal across types."""
    return key if type(key) in (int, float, bool, str, bytes) else repr(outline(key))


def _leaf(value: Any) -> Any:
    kind = type(value)
    if kind is Data:
        return (value.kind, value.text) if value.kind in ("bytes", "bytearray") else OPAQUE
    if kind in (bytes, bytearray):
        return (kind.__name__, f"{len(value)} bytes")
    if kind is Glob:
        real = REAL.get((value.module, value.name))
        return real.__name__ if real else OPAQUE
    if kind is type:
        return OPAQUE if value is Inert else value.__name__
    if kind in (Inert, Instance, complex) or callable(value):
        return OPAQUE
    return (kind.__name__, repr(value))
