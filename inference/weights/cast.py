"""Floating point casts by numpy, rounded to nearest even, with a count of every value that did not survive. It touches no files.

bfloat16 has no numpy type: its values travel as uint16 bit patterns.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NUMPY: dict[str, str] = {
    "BOOL": "u1", "U8": "u1", "I8": "i1", "F8_E5M2": "u1", "F8_E4M3": "u1", "F8_E8M0": "u1", "F8_E4M3FNUZ": "u1", "F8_E5M2FNUZ": "u1",
    "I16": "<i2", "U16": "<u2", "F16": "<f2", "BF16": "<u2", "I32": "<i4", "U32": "<u4", "F32": "<f4",
    "C64": "<c8", "F64": "<f8", "I64": "<i8", "U64": "<u8",
}  # fmt: skip
"""dtype -> numpy type of the same size; types that numpy does not know travel as their bits."""

BITS: dict[str, tuple[str, int, int]] = {
    "F16": ("<u2", 0x7C00, 0x7FFF),
    "BF16": ("<u2", 0x7F80, 0x7FFF),
    "F32": ("<u4", 0x7F800000, 0x7FFFFFFF),
}
"""Type of the bit pattern, the bits that are all set in infinities and NaN, and all bits but the sign."""


@dataclass(slots=True)
class Losses:
    """Values that a cast changed in kind: finite ones that became infinite, others that became zero; and those not finite before."""

    overflow: int = 0
    underflow: int = 0
    nonfinite: int = 0

    def add(self, other: Losses) -> None:
        self.overflow += other.overflow
        self.underflow += other.underflow
        self.nonfinite += other.nonfinite

    def any(self) -> bool:
        return bool(self.overflow or self.underflow or self.nonfinite)

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def cast(values: Array, source: str, target: str) -> tuple[Array, Losses]:
    """`values` (of numpy type NUMPY[source]) as NUMPY[target], with what was lost. Only F64, F32, F16 and BF16 differ here."""
    if source == target:
        return values, Losses()
    wide = widen(values) if source == "BF16" else values
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if target == "BF16":
            out = narrow(_to_odd(wide) if source == "F64" else wide.astype("<f4", copy=False))
        else:
            out = wide.astype(NUMPY[target], copy=False)
    return out, _losses(wide, out, target)


def widen(bits: Array) -> Array:
    """bfloat16 bits as float32: exact, since bfloat16 is the upper half of a float32."""
    return (bits.astype("<u4") << np.uint32(16)).view("<f4")


def narrow(values: Array) -> Array:
    """float32 as bfloat16 bits, rounded to nearest even; NaN stays NaN (quiet)."""
    bits = np.ascontiguousarray(values).view("<u4")
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype("<u2")
    # Only a NaN can be carried over the top of its exponent, so it is looked for in what came out odd.
    nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    if nan.any():
        rounded[nan] = (bits[nan] >> np.uint32(16)).astype("<u2") | np.uint16(0x40)
    return rounded


def _to_odd(values: Array) -> Array:
    """float64 as float32 rounded to odd, so that a second rounding to fewer bits gives what one rounding would have given."""
    single = np.ascontiguousarray(values.astype("<f4"))
    bits = single.view("<u4").copy()
    inexact = (single.astype("<f8") != values) & ~np.isnan(values)
    bits[inexact & (np.abs(single.astype("<f8")) > np.abs(values))] -= np.uint32(1)
    bits[inexact] |= np.uint32(1)
    return bits.view("<f4")


def _losses(before: Array, after: Array, target: str) -> Losses:
    """Looks at the result first: it is the smaller array, and nearly always free of infinities."""
    unsigned, top, rest = BITS[target]
    bits = after.view(unsigned)
    exponent, magnitude = bits.dtype.type(top), bits.dtype.type(rest)
    losses = Losses()
    special = int(np.count_nonzero((bits & exponent) == exponent))
    if special:
        losses.nonfinite = int(before.size - np.count_nonzero(np.isfinite(before)))
        losses.overflow = special - losses.nonfinite
    zeros = int(bits.size - np.count_nonzero(bits & magnitude))
    if zeros:
        losses.underflow = zeros - int(before.size - np.count_nonzero(before))
    return losses
