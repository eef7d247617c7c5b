"""Collects every tensor of a finished symbolic run into a `TensorDirectory`: paths from the root, types, shapes, byte ranges.

It reads no tensor bytes. Other values become short texts, so that whoever reads the directory never needs the pickle.
"""

from __future__ import annotations

from collections.abc import Iterator

from registry.formats.directory import Key, OtherEntry, Path, Storage, TensorDirectory, TensorEntry
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import is_plain, printable
from scanner.pickles.limits import LIMITS
from scanner.pickles.values import SCALARS, Data, Glob, Group, Instance, Mapping, StorageRef, Tensor, Value, show

MAX_KEY = 1024


class Harvest:
    """One walk from the root. `places` maps storage keys to the storages of the file, in directory order."""

    def __init__(self, container: str, places: dict[str, Storage]) -> None:
        self._container = container
        self._index = {key: index for index, key in enumerate(places)}
        self._storages = tuple(places.values())
        self._tensors: list[TensorEntry] = []
        self._others: list[OtherEntry] = []
        self._open: set[int] = set()
        self._taken: set[Path] = set()
        self._doubles: dict[Path, int] = {}
        self._left = LIMITS.entries
        self._names: set[str] = set()

    def collect(self, root: Value) -> TensorDirectory:
        """The directory; raises `LimitExceeded` "T-LIMIT" or `FormatError` "T-NAME" where it would not be fit to use."""
        self._walk((), root)
        return TensorDirectory(self._container, self._storages, tuple(self._tensors), {}, tuple(self._others))

    def _walk(self, path: Path, value: Value) -> None:
        self._left -= 1
        if self._left < 0 or len(path) > LIMITS.depth:
            raise LimitExceeded("T-LIMIT", "The checkpoint is nested deeper or holds more values than weights need.")
        kind = type(value)
        if kind is Tensor:
            self._tensor(path, value)
        elif kind in SCALARS or kind is Glob or kind is StorageRef:
            self._other(path, value)
        elif id(value) in self._open:
            self._others.append(OtherEntry(self._free(path), "loop", "refers to what it is part of"))
        else:
            self._open.add(id(value))
            self._inside(path, value)
            self._open.discard(id(value))

    def _inside(self, path: Path, value: Value) -> None:
        children = list(_children(value))
        if not children:
            self._other(path, value)
        deeper = len(path) < LIMITS.depth
        for key, child in children:
            where = (*path, self._key(key))
            if deeper and type(child) in SCALARS and self._left > 0:  # most of a long list; `_walk` would come to the same
                self._left -= 1
                self._other(where, child)
            else:
                self._walk(where, child)

    def _key(self, key: Value) -> Key:
        kind = type(key)
        if kind is int and abs(key) < 1 << 53:
            return int(key)
        text = str(key) if kind is str else key.dotted if kind is Glob else show(key)
        if text not in self._names:
            if len(text) > MAX_KEY or not is_plain(text):
                raise FormatError(
                    "T-NAME", "A name inside the checkpoint is too long or holds characters that are not text.", where=printable(text)
                )
            self._names.add(text)
        return text

    def _tensor(self, path: Path, tensor: Tensor) -> None:
        if tensor.dtype is None or tensor.special:
            self._others.append(OtherEntry(self._free(path), "tensor", printable(f"{tensor.special} {list(tensor.shape)}")))
            return
        offset = tensor.offset + _view_start(tensor)
        row = TensorEntry(self._free(path), tensor.dtype, tensor.shape, self._index[tensor.storage.key], offset, tensor.stride)
        self._tensors.append(row)

    def _other(self, path: Path, value: Value) -> None:
        kind = type(value)
        text = repr(value) if kind is float else _text(value)
        self._others.append(OtherEntry(self._free(path), _KINDS.get(kind) or _kind(value), text))

    def _free(self, path: Path) -> Path:
        """The path itself, or with a number behind its last key where an odd file has two values under one path."""
        if path not in self._taken:
            self._taken.add(path)
            return path
        candidate = path
        while candidate in self._taken:
            self._doubles[path] = self._doubles.get(path, 1) + 1  # remembered, or many equal paths would cost their square
            candidate = (*path[:-1], f"{path[-1] if path else ''}#{self._doubles[path]}")
        self._taken.add(candidate)
        return candidate


def _view_start(tensor: Tensor) -> int:
    """The elements that a legacy storage view starts behind its root, in elements of the tensor's own type."""
    return tensor.storage.start * tensor.storage.itemsize // SIZES[tensor.dtype or "U8"]


def _children(value: Value) -> Iterator[tuple[Value, Value]]:
    kind = type(value)
    if kind is Mapping:
        yield from _last_wins(value.pairs)
    elif kind in (list, tuple):
        yield from enumerate(value)
    elif kind is Data and type(value.info) is Mapping:
        yield from _last_wins(value.info.pairs)
    elif kind is Data and value.kind == "sparse tensor":
        yield from ((index, part) for index, part in enumerate(value.info) if type(part) is Tensor)
    elif kind is Data and type(value.info) is Tensor:
        yield "cpu", value.info
    elif kind is Instance:
        yield from _of_instance(value)


def _of_instance(value: Instance) -> Iterator[tuple[Value, Value]]:
    """What an object of an unknown class carries: its arguments, state and items, so that its tensors can be saved from it."""
    if type(value.state) is Mapping:
        yield from _last_wins(value.state.pairs)
    elif value.state is not None:
        yield "state", value.state
    for number, argument in enumerate(value.args):
        yield f"argument {number}", argument
    yield from _last_wins(value.pairs)
    yield from ((f"item {number}", item) for number, item in enumerate(value.items))


def _last_wins(pairs: list[tuple[Value, Value]]) -> list[tuple[Value, Value]]:
    """Pairs as a dictionary keeps them: of equal plain keys the first place and the last value."""
    if len({key for key, _ in pairs if type(key) is str}) == len(pairs):
        return pairs
    found: dict[tuple[str, str] | str | int, tuple[Value, Value]] = {}
    for key, value in pairs:
        # Whole numbers are keyed by their text, since their hashes could be made to collide; nested keys may not be hashed.
        slot = key if type(key) is str else ("number", f"{key:x}") if type(key) is int else id(key)
        found[slot] = (found[slot][0] if slot in found else key, value)
    return list(found.values())


def _text(value: Value) -> str:
    kind = type(value)
    if kind is str:
        return printable(value)
    if kind is float or kind is bool or value is None:
        return repr(value)
    return printable(value.text) if kind is Data and value.text else show(value)


def _kind(value: Value) -> str:
    kind = type(value)
    if kind is Data or kind is Mapping or kind is Group:
        return str(value.kind)
    return _KINDS.get(kind) or kind.__name__


_KINDS: dict[type, str] = {Glob: "name", Instance: "object", StorageRef: "storage", type(None): "none"}
_KINDS |= {kind: kind.__name__ for kind in (bool, int, float, str, bytes)}
