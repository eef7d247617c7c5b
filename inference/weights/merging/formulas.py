"""The arithmetic of merging on one piece of numbers, rounded as torch rounds: every operation, in the type of what it works on.

Scalars are taken as float32 for 16 and 32 bit types and never rounded further (torch's `opmath`); two types meet in the wider one.
Two makers with the same bits: numpy here, torch in `torchmaths`. What is not a number is given one bit pattern afterwards, in `settle`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from inference.weights.cast import MANTISSA, NUMPY, Array, Losses, narrow, widen
from inference.weights.merging.plan import wider


@dataclass(frozen=True, slots=True)
class Values:
    """One-dimensional numbers of safetensors type `dtype`, as the numpy type that carries it (bfloat16 as its bits)."""

    array: Array
    dtype: str


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
    """By numpy alone; 16-bit types are computed in float32 and rounded after each operation."""

    name = "numpy"

    def weighted_sum(self, a: Values, b: Values, multiplier: float) -> Values:
        with np.errstate(all="ignore"):
            return _plus(_times(a, 1 - multiplier), _times(b, multiplier))

    def add_difference(self, a: Values, b: Values, c: Values | None, multiplier: float) -> Values:
        with np.errstate(all="ignore"):
            difference = Values(np.zeros(b.array.size, b.array.dtype), b.dtype) if c is None else _plus(b, c, minus=True)
            return _plus(a, _times(difference, multiplier))


def _times(values: Values, scalar: float) -> Values:
    if values.dtype == "F64":
        return Values(values.array * scalar, "F64")
    return _rounded(_single(values) * np.float32(scalar), values.dtype)


def _plus(one: Values, other: Values, *, minus: bool = False) -> Values:
    dtype = wider(one.dtype, other.dtype)
    left, right = (values.array.astype("<f8") if dtype == "F64" and values.dtype != "BF16" else _single(values) for values in (one, other))
    return _rounded(left - right if minus else left + right, dtype)


def _single(values: Values) -> Array:
    """Numbers of 16 or 32 bits as float32, exactly; float64 as it is."""
    if values.dtype == "BF16":
        return widen(values.array)
    return values.array.astype("<f4", copy=False) if values.dtype != "F64" else values.array


def _rounded(array: Array, dtype: str) -> Values:
    return Values(narrow(array) if dtype == "BF16" else array.astype(NUMPY[dtype], copy=False), dtype)


def settle(made: Values, inputs: list[Values]) -> Losses:
    """Gives every NaN of a result one bit pattern, in place, and counts what came out infinite of finite inputs.

    Which payload a NaN keeps depends on the processor, so the quiet NaN without sign and payload is written. `inputs` are the numbers
    that it was made of, of the same length.
    """
    unsigned, width = MANTISSA[made.dtype]
    bits = made.array.view(unsigned)
    kind = bits.dtype.type
    size = bits.dtype.itemsize * 8
    infinity = kind((1 << (size - 1)) - (1 << width))
    magnitude = bits & kind((1 << (size - 1)) - 1)
    if not bits.size or magnitude.max() < infinity:
        return Losses()
    nan = magnitude > infinity
    bits[nan] = kind(int(infinity) | 1 << (width - 1))
    finite = np.ones(bits.size, np.bool_)
    for values in inputs:
        finite &= np.isfinite(_single(values))
    special = magnitude >= infinity
    return Losses(overflow=int(np.count_nonzero(special & finite)), nonfinite=int(np.count_nonzero(special & ~finite)), nan=int(nan.sum()))
