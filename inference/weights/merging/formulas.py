"""The arithmetic of merging on one piece of numbers, rounded as torch rounds: every operation, in the type of what it works on.

Scalars are taken as float32 for 16 and 32 bit types and never rounded further (torch's `opmath`); two types meet in the wider one.
Two makers with the same bits: numpy here, torch's library in `torchmaths`. What is not a number is given one bit pattern afterwards, in
`settle`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inference.weights.cast import MANTISSA, NUMPY, Array, Caster, Losses, cast
from inference.weights.merging.halves import Halves
from inference.weights.merging.plan import wider
from inference.weights.merging.values import BITS_16, PATTERNS, to_float

PIECE = 1 << 17
"""Numbers worked on at once: what is in hand stays in a core's own cache."""
MAX_TABLES = 16
"""Tables kept at once, 256 KiB each; block weights may ask for dozens."""


@dataclass(frozen=True, slots=True)
class Values:
    """One-dimensional numbers of safetensors type `dtype`, as the numpy type that carries it (bfloat16 as its bits)."""

    array: Array
    dtype: str

    def part(self, at: slice) -> Values:
        """Some of them, in the same memory."""
        return Values(self.array[at], self.dtype)


class Maths(Protocol):
    """Results are valid until the maker works again."""

    name: str

    def weighted_sum(self, a: Values, b: Values, multiplier: float) -> Values:
        """(1 - multiplier) * a + multiplier * b."""
        ...

    def add_difference(self, a: Values, b: Values, c: Values | None, multiplier: float) -> Values:
        """a + multiplier * (b - c); without c the difference is 0 in b's type, as A1111 has it for tensors that C lacks."""
        ...


class NumpyMaths:
    """By numpy alone. A 16-bit type has 65,536 values, so what a constant makes of it is a table, and a product is looked up."""

    name = "numpy"

    def __init__(self) -> None:
        self._tables: dict[tuple[str, float], Array] = {}
        self._caster, self._halves = Caster(), Halves(PIECE)
        self._total = np.empty(PIECE, np.float32)
        self._rooms: dict[tuple[str, str], Array] = {}

    def weighted_sum(self, a: Values, b: Values, multiplier: float) -> Values:
        made = self._room("made", a, wider(a.dtype, b.dtype))
        with np.errstate(all="ignore"):
            for at in _pieces(a):
                left = self._times(a.part(at), 1 - multiplier, "left")
                self._sum(left, self._times(b.part(at), multiplier, "right"), made.part(at))
        return made

    def add_difference(self, a: Values, b: Values, c: Values | None, multiplier: float) -> Values:
        between = self._room("between", b, b.dtype if c is None else wider(b.dtype, c.dtype))
        made = self._room("made", a, wider(a.dtype, between.dtype))
        with np.errstate(all="ignore"):
            for at in _pieces(a):
                difference = between.part(at)
                if c is None:
                    difference.array[...] = 0
                else:
                    self._sum(self._exact(b.part(at), "left"), -self._exact(c.part(at), "right"), difference)
                self._sum(self._exact(a.part(at), "left"), self._times(difference, multiplier, "right"), made.part(at))
        return made

    def _room(self, name: str, values: Values, dtype: str) -> Values:
        """Memory for as many numbers, used again under that name: the system would hand out fresh pages for every piece."""
        kept = self._rooms.get((name, dtype))
        if kept is None or kept.size < values.array.size:
            kept = self._rooms[name, dtype] = np.empty(values.array.size, NUMPY[dtype])
        return Values(kept[: values.array.size], dtype)

    def _exact(self, values: Values, slot: str) -> Array:
        """Numbers of 16 or 32 bits as float32, float64 as it is. What is in one slot stays until the next is asked for there."""
        return exact(values)

    def _times(self, values: Values, scalar: float, slot: str) -> Array:
        """The rounded products, as float32 (float64 for those), in that slot."""
        if values.dtype not in BITS_16:
            return values.array * (np.float32(scalar) if values.dtype == "F32" else scalar)
        key = (values.dtype, scalar)
        if key not in self._tables:
            if len(self._tables) >= MAX_TABLES:
                self._tables.clear()
            every = Values(PATTERNS.view(NUMPY[values.dtype]), values.dtype)
            product = exact(every) * np.float32(scalar)
            self._tables[key] = exact(Values(cast(product, "F32", values.dtype)[0], values.dtype))
        return np.take(self._tables[key], values.array.view("<u2"))

    def _sum(self, left: Array, right: Array, made: Values) -> None:
        if made.dtype not in BITS_16:
            np.add(left, right, out=made.array)
        elif made.dtype == "F16":
            self._halves.round(np.add(left, right, out=self._total[: left.size]), made.array)
        else:
            made.array[...] = self._caster.cast(left + right, "F32", made.dtype)[0]


def _pieces(values: Values) -> Iterator[slice]:
    return (slice(at, at + PIECE) for at in range(0, values.array.size, PIECE))


def exact(values: Values) -> Array:
    """Numbers of 16 or 32 bits as float32; float64 as it is."""
    return values.array if values.dtype == "F64" else to_float(values.array, values.dtype)


def settle(made: Values, inputs: list[Values]) -> Losses:
    """Gives every NaN of a result one bit pattern, in place, and counts what came out infinite of finite inputs.

    Which payload a NaN keeps depends on the processor, so the quiet NaN without sign and payload is written. `inputs` are the numbers
    that it was made of, of the same length.
    """
    unsigned, width = MANTISSA[made.dtype]
    bits = made.array.view(unsigned)
    kind = bits.dtype.type
    size = bits.dtype.itemsize * 8
    infinity, sign = kind((1 << (size - 1)) - (1 << width)), kind(1 << (size - 1))
    # The largest of the positive ones and the largest of the negative ones, without another array.
    if not bits.size or (bits.view(f"i{bits.dtype.itemsize}").max() < infinity and bits.max() < infinity | sign):
        return Losses()
    magnitude = bits & ~sign
    nan = magnitude > infinity
    bits[nan] = kind(int(infinity) | 1 << (width - 1))
    finite = np.ones(bits.size, np.bool_)
    for values in inputs:
        finite &= np.isfinite(exact(values))
    special = magnitude >= infinity
    return Losses(overflow=int(np.count_nonzero(special & finite)), nonfinite=int(np.count_nonzero(special & ~finite)), nan=int(nan.sum()))
