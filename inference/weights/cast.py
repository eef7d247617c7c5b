"""Floating point casts, rounded to nearest even, with a count of every value that did not survive. It touches no files.

bfloat16 has no numpy type: its values travel as uint16 bit patterns. The bits of the result depend on nothing but the values: a NaN
becomes a quiet NaN of the same sign with the upper bits of its payload, whatever did the cast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.weights.kernels import PIECE, Kernel, NumpyKernel

Array = npt.NDArray[Any]

NUMPY: dict[str, str] = {
    "BOOL": "u1", "U8": "u1", "I8": "i1", "F8_E5M2": "u1", "F8_E4M3": "u1", "F8_E8M0": "u1", "F8_E4M3FNUZ": "u1", "F8_E5M2FNUZ": "u1",
    "I16": "<i2", "U16": "<u2", "F16": "<f2", "BF16": "<u2", "I32": "<i4", "U32": "<u4", "F32": "<f4",
    "C64": "<c8", "F64": "<f8", "I64": "<i8", "U64": "<u8",
}  # fmt: skip
"""dtype -> numpy type of the same size; types that numpy does not know travel as their bits."""

MANTISSA: dict[str, tuple[str, int]] = {"F16": ("<u2", 10), "BF16": ("<u2", 7), "F32": ("<u4", 23), "F64": ("<u8", 52)}
"""dtype -> type of its bit pattern, and the bits of its mantissa."""


@dataclass(slots=True)
class Losses:
    """What a cast did to values: finite ones that became infinite, others that became zero, those that were not finite before (and how
    many of these were NaN: they still are), and the largest absolute error of the finite rest.
    """

    overflow: int = 0
    underflow: int = 0
    nonfinite: int = 0
    nan: int = 0
    max_abs_error: float = 0.0

    def add(self, other: Losses) -> None:
        self.overflow += other.overflow
        self.underflow += other.underflow
        self.nonfinite += other.nonfinite
        self.nan += other.nan
        self.max_abs_error = max(self.max_abs_error, other.max_abs_error)

    def any(self) -> bool:
        """Whether a value changed in kind, or had none to begin with; rounding alone is no loss."""
        return bool(self.overflow or self.underflow or self.nonfinite)

    def to_json(self) -> dict[str, int]:
        return {"overflow": self.overflow, "underflow": self.underflow, "nonfinite": self.nonfinite}


class Caster:
    """Casts by one kernel, in memory that it uses again. For one thread."""

    def __init__(self, kernel: Kernel | None = None) -> None:
        self.kernel = NumpyKernel() if kernel is None else kernel
        self._outs: dict[str, Array] = {}

    def cast(self, values: Array, source: str, target: str) -> tuple[Array, Losses]:
        """As the function `cast`, but the result is valid only until the next call with the same target."""
        if source == target:
            return values, Losses()
        out = self._outs.get(target)
        if out is None or out.size < values.size:
            out = self._outs[target] = np.empty(max(values.size, PIECE), NUMPY[target])
        return out[: values.size], self._into(values, source, target, out[: values.size])

    def _into(self, values: Array, source: str, target: str, out: Array) -> Losses:
        losses = Losses()
        for at in range(0, values.size, PIECE):
            losses.add(self._piece(values[at : at + PIECE], source, target, out[at : at + PIECE]))
        return losses

    def _piece(self, values: Array, source: str, target: str, out: Array) -> Losses:
        wide = _widened(values, source)
        if wide.dtype == np.float32 and target in ("F16", "BF16"):
            fast = self.kernel.half if target == "F16" else self.kernel.bfloat
            rounded = fast(np.ascontiguousarray(wide), out.view(np.uint16))
            if rounded is not None:
                return Losses(underflow=rounded.underflow, max_abs_error=rounded.max_abs_error)
        return _exactly(values, source, wide, target, out)


def cast(values: Array, source: str, target: str, *, kernel: Kernel | None = None) -> tuple[Array, Losses]:
    """`values` (one dimension, of numpy type NUMPY[source]) as NUMPY[target], with what was lost, in memory of its own.

    Only F64, F32, F16 and BF16 may differ here.
    """
    return Caster(kernel).cast(values, source, target)


def widen(bits: Array) -> Array:
    """bfloat16 bits as float32: exact, since bfloat16 is the upper half of a float32."""
    return (bits.astype("<u4") << np.uint32(16)).view("<f4")


def narrow(values: Array) -> Array:
    """float32 as bfloat16 bits, rounded to nearest even; NaN stays NaN (quiet)."""
    return cast(np.ascontiguousarray(values).reshape(-1), "F32", "BF16")[0].reshape(values.shape)


def _widened(values: Array, source: str) -> Array:
    """The values as float32, or as float64 where they are that: exact."""
    if source == "BF16":
        return widen(values)
    if source == "F16":
        with np.errstate(invalid="ignore"):  # a signalling NaN; it is made quiet by `_quiet`
            return values.astype("<f4")
    return values


def _exactly(values: Array, source: str, wide: Array, target: str, out: Array) -> Losses:
    """Any cast of any values, by numpy's own conversions; what is not finite is looked at one by one."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if target == "BF16":
            _cut(_to_odd(wide) if wide.dtype == np.float64 else wide, out)
        else:
            out[...] = wide.astype(NUMPY[target], copy=False)
        back = widen(out) if target == "BF16" else out.astype(wide.dtype, copy=False)
        error = np.abs(wide - back)
    finite = np.isfinite(wide)
    losses = Losses(nonfinite=int(wide.size - np.count_nonzero(finite)))
    if losses.nonfinite:
        nan = np.isnan(wide)
        losses.nan = int(np.count_nonzero(nan))
        out.view(MANTISSA[target][0])[nan] = _quiet(values[nan], source, target)
    kept = finite & np.isfinite(back)
    losses.overflow = int(np.count_nonzero(finite) - np.count_nonzero(kept))
    losses.underflow = int(np.count_nonzero(kept & (back == 0) & (wide != 0)))
    losses.max_abs_error = float(error[kept].max(initial=0.0))
    return losses


def _cut(values: Array, out: Array) -> None:
    """float32 into bfloat16 bits, rounded to nearest even; what becomes of NaN is left to `_quiet`."""
    bits = values.view("<u4")
    out[...] = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)


def _quiet(nans: Array, source: str, target: str) -> Array:
    """The bit patterns of NaNs in another type: sign and upper payload kept, the bit set that keeps processors from trapping."""
    unsigned, width = MANTISSA[source]
    bits = np.ascontiguousarray(nans).view(unsigned).astype("<u8")
    kind, wanted = MANTISSA[target]
    total, size = np.dtype(kind).itemsize * 8, np.dtype(unsigned).itemsize * 8
    payload = bits & np.uint64((1 << width) - 1)
    payload = payload >> np.uint64(width - wanted) if width > wanted else payload << np.uint64(wanted - width)
    top = (1 << (total - 1)) - (1 << wanted) | 1 << (wanted - 1)
    sign = (bits >> np.uint64(size - 1)) << np.uint64(total - 1)
    return np.asarray((sign | np.uint64(top) | payload).astype(kind))


def _to_odd(values: Array) -> Array:
    """float64 as float32 rounded to odd, so that a second rounding to fewer bits gives what one rounding would have given."""
    single = np.ascontiguousarray(values.astype("<f4"))
    bits = single.view("<u4").copy()
    inexact = (single.astype("<f8") != values) & ~np.isnan(values)
    bits[inexact & (np.abs(single.astype("<f8")) > np.abs(values))] -= np.uint32(1)
    bits[inexact] |= np.uint32(1)
    return bits.view("<f4")
