"""Numbers of tensors in memory: read from a source piece by piece, widened, summed in a fixed order. No formula of a merge is here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from inference.weights.cast import NUMPY, Array, widen
from inference.weights.source import Source
from registry.formats.directory import TensorDirectory, TensorEntry

PIECE_BYTES = 1 << 20
"""Most bytes of one input that are in hand at once."""
BITS_16 = frozenset({"F16", "BF16"})
PATTERNS = np.arange(1 << 16, dtype="<u2")
"""Every value of a 16-bit type. A table over them is twice as fast as numpy's own conversion of float16."""


class Reader:
    """The open inputs of a merge, by role. Every `slot` has memory of its own, which the next read into it takes again."""

    def __init__(self, sources: Mapping[str, Source], directories: Mapping[str, TensorDirectory]) -> None:
        self._sources, self._directories = sources, directories
        self._slots: dict[str, bytearray] = {}

    def read(self, role: str, entry: TensorEntry, first: int, count: int, slot: str) -> Array:
        """`count` elements of a tensor from its element `first` on, as a one-dimensional array of its numpy type."""
        itemsize = np.dtype(NUMPY[entry.dtype]).itemsize
        size = count * itemsize
        memory = self._slots.get(slot)
        if memory is None or len(memory) < size:
            memory = self._slots[slot] = bytearray(max(size, PIECE_BYTES))
        view = memoryview(memory)[:size]
        self._sources[role].read_into(self._directories[role].byte_range(entry)[0] + first * itemsize, view)
        return np.frombuffer(view, NUMPY[entry.dtype])

    def expect(self, role: str, entry: TensorEntry) -> None:
        """This tensor is read next: a disk may fetch it already."""
        self._sources[role].expect(entry)

    def whole(self, role: str, entry: TensorEntry) -> Array:
        """All elements of a tensor, in memory of their own."""
        out = np.empty(entry.numel, NUMPY[entry.dtype])
        if out.size:
            self._sources[role].read_into(self._directories[role].byte_range(entry)[0], out.view("u1").data)
        return out


@cache
def _halves() -> Array:
    return PATTERNS.view("<f2").astype(np.float32)


def to_float(values: Array, dtype: str) -> Array:
    """Any fraction as float32 (a float64 is rounded), in memory of its own or the values themselves."""
    if dtype == "F16":
        return np.take(_halves(), values.view("<u2"))
    with np.errstate(over="ignore"):
        return widen(values) if dtype == "BF16" else values.astype(np.float32, copy=False)


def fold(values: Array) -> Array:
    """The sum along the first dimension, by adding the second half to the first again and again: one order on every machine."""
    while len(values) > 1:
        half = len(values) // 2
        rest = values[2 * half :]
        values = values[:half] + values[half : 2 * half]
        if len(rest):
            values[:1] += rest
    total: Array = values[0]
    return total
