"""What the symbolic machine has on its stack instead of objects: nothing here was imported, called or built from the file's code.

None, bool, int, float, str, bytes, tuple and list stand for themselves; the classes below stand for everything else. Values are
compared by `is` and looked into with bounds only: ==, hash() and repr() of a nested value from a file may take for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from registry.formats.plaintext import printable

Value = Any
"""A symbolic value; the union is open on purpose, every use checks `type(value) is ...`."""

SCALARS = (type(None), bool, int, float, str, bytes)


@dataclass(slots=True, eq=False, repr=False)
class Glob:
    """A name the pickle would import. `contract` is the policy's word on how it may be used ("" for none)."""

    module: str
    name: str
    safety: str
    contract: str
    reason: str

    @property
    def dotted(self) -> str:
        return printable(f"{self.module}.{self.name}")


@dataclass(slots=True, eq=False, repr=False)
class Mapping:
    """A dict or a kin of it (`kind`: dict, OrderedDict, Counter, defaultdict), as the pairs in the order they were set.

    `sealed`: it was accepted because it was empty, by something that keeps it.
    """

    kind: str = "dict"
    pairs: list[tuple[Value, Value]] = field(default_factory=list)
    sealed: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Group:
    """A set or frozenset (`kind`), whose members never hold tensors."""

    kind: str
    items: list[Value]


@dataclass(slots=True, eq=False, repr=False)
class StorageRef:
    """A persistent id: `numel` elements from element `start` of storage `key`. `dtype` is None where torch names none of ours."""

    key: str
    kind: str
    dtype: str | None
    itemsize: int
    numel: int
    start: int = 0


@dataclass(slots=True, eq=False, repr=False)
class Tensor:
    """A checked view of a storage. `special` names why its bytes are not plain numbers (quantised, conjugated), or is empty."""

    storage: StorageRef
    dtype: str | None
    shape: tuple[int, ...]
    offset: int
    stride: tuple[int, ...]
    special: str = ""


@dataclass(slots=True, eq=False, repr=False)
class Data:
    """An inert thing that an allowed call makes (a dtype, a device, a numpy array); `info` is what its contract needs to know."""

    kind: str
    text: str = ""
    info: Value = None
    built: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Instance:
    """An object of a class, never made: `glob` is the class, `state` what the pickle would set on it."""

    glob: Glob
    args: tuple[Value, ...] = ()
    state: Value = None
    pairs: list[tuple[Value, Value]] = field(default_factory=list)
    items: list[Value] = field(default_factory=list)


class Unknown:
    """The result of something that must not happen; whatever is done to it is judged no milder."""

    __slots__ = ()


UNKNOWN = Unknown()


def show(value: Value, limit: int = 200, depth: int = 3) -> str:
    """A short printable text of any value, bounded in length, width and depth."""
    return printable(_show(value, depth), limit)


def _show(value: Value, depth: int) -> str:
    kind = type(value)
    if kind is str:
        return repr(value[:200])
    if kind is bytes:
        return repr(value[:60])
    if kind is int:
        return str(value) if abs(value) < 1 << 128 else f"<{value.bit_length()}-bit number>"
    if kind in SCALARS:
        return repr(value)
    if kind is Glob:
        return str(value.dotted)
    if kind in (tuple, list, Group):
        items = value.items if kind is Group else value
        inner = "..." if depth == 0 else ", ".join(_show(item, depth - 1) for item in items[:4]) + (", ..." if len(items) > 4 else "")
        return f"[{inner}]" if kind is list else f"({inner})"
    if kind is Mapping:
        inner = "..." if depth == 0 else ", ".join(f"{_show(k, depth - 1)}: {_show(v, depth - 1)}" for k, v in value.pairs[:4])
        return "{" + inner + ("" if len(value.pairs) <= 4 else ", ...") + "}"
    return _show_object(value)


def _show_object(value: Value) -> str:
    kind = type(value)
    if kind is Tensor:
        return f"<tensor {value.dtype or value.special} {list(value.shape)[:8]}>"
    if kind is StorageRef:
        return f"<storage {value.key} of {value.numel}>"
    if kind is Data:
        return f"<{value.kind} {value.text}>"
    if kind is Instance:
        return f"<{value.glob.dotted} object>"
    return "<unknown>"
