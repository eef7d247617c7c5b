"""The inner loops of casts: float32 to float16 or bfloat16, rounded to nearest even, with the largest error and what became zero.

Two that give the same bits: whole-array integer arithmetic by numpy, and torch's library for jobs so large that opening it pays. A kernel
may decline a piece (infinities, NaN, values too large for the type): then `cast` does it exactly and slowly. It reads no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inference.weights.libtorch import LibTorch, is_open

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint16]

PIECE = 1 << 17
"""Elements worked on at once: 512 KiB of float32, in memory that stays in the cache; fewer, and the calls cost as much as the work."""

TORCH_PAYS = 576 << 20
"""Bytes of float32 to cast from which torch's library is opened.

Measured with the statistics: numpy 2.3 GB/s, the library 6.6 GB/s, so that opening it (0.16 s of CPU, 100 MB) is made up for at 0.57 GB.
"""

F16_INFINITE = np.uint32(0x477FF000)
"""65520.0: the least magnitude that rounds to infinity in float16."""
F16_NORMAL = np.uint32(0x38800000)
"""2**-14: the least normal float16. Below it the distance between neighbours stops to shrink, so other arithmetic is needed."""
BF16_INFINITE = np.uint32(0x7F7F8000)
"""The least magnitude that rounds to infinity in bfloat16."""

_MAGNITUDE = np.uint32(0x7FFFFFFF)
_ONE, _13, _16 = np.uint32(1), np.uint32(13), np.uint32(16)


@dataclass(frozen=True, slots=True)
class Rounded:
    """What a kernel saw: the largest absolute error, and how many values other than zero became zero."""

    max_abs_error: float
    underflow: int


class Kernel(Protocol):
    """Rounds a piece of at most `PIECE` finite values. Not to be shared by threads: it has memory of its own."""

    name: str

    def half(self, values: Floats, out: Bits) -> Rounded | None:
        """float16 bits of `values` into `out`; None, with `out` in any state, for a piece that it declines."""
        ...

    def bfloat(self, values: Floats, out: Bits) -> Rounded | None:
        """bfloat16 bits of `values` into `out`, likewise."""
        ...


class NumpyKernel:
    """Integer arithmetic on the bits: numpy's own conversion to float16 goes value by value and takes three times as long."""

    name = "numpy"

    def __init__(self) -> None:
        self._rounded = np.empty(PIECE, np.uint32)
        self._wide = np.empty(PIECE, np.uint32)
        self._narrow = np.empty(PIECE, np.uint16)
        self._mask = np.empty(PIECE, np.bool_)

    def half(self, values: Floats, out: Bits) -> Rounded | None:
        size, bits = values.size, values.view(np.uint32)
        rounded, wide, narrow = self._rounded[:size], self._wide[:size], self._narrow[:size]
        np.bitwise_and(bits, _MAGNITUDE, out=wide)
        if wide.max() >= F16_INFINITE:
            return None
        small = np.flatnonzero(np.less(wide, F16_NORMAL, out=self._mask[:size]))
        if small.size > size // 8:
            return None
        np.right_shift(bits, _13, out=rounded)
        _round_even(bits, rounded, np.uint32(0xFFF))
        # Of a normal value's 8 exponent bits the low 5 are float16's, but for the bias: 127 - 15 = 112, which is 16 modulo 32.
        np.right_shift(rounded, _13, out=wide)
        np.copyto(out, wide, casting="unsafe")
        np.bitwise_and(out, np.uint16(0x7FFF), out=out)
        np.bitwise_xor(out, np.uint16(0x4000), out=out)
        np.right_shift(bits, _16, out=wide)
        np.copyto(narrow, wide, casting="unsafe")
        np.bitwise_and(narrow, np.uint16(0x8000), out=narrow)
        np.bitwise_or(out, narrow, out=out)
        np.bitwise_and(rounded, np.uint32(0xFFFFE000), out=rounded)
        lost = 0
        if small.size:
            exact = values[small]
            halves = exact.astype(np.float16)
            out[small] = halves.view(np.uint16)
            rounded.view(np.float32)[small] = halves
            lost = int(np.count_nonzero((halves == 0) & (exact != 0)))
        return Rounded(self._error(values, rounded.view(np.float32)), lost)

    def bfloat(self, values: Floats, out: Bits) -> Rounded | None:
        size, bits = values.size, values.view(np.uint32)
        rounded, wide = self._rounded[:size], self._wide[:size]
        np.bitwise_and(bits, _MAGNITUDE, out=wide)
        if wide.max() >= BF16_INFINITE:
            return None
        np.right_shift(bits, _16, out=rounded)
        _round_even(bits, rounded, np.uint32(0x7FFF))
        np.right_shift(rounded, _16, out=wide)
        np.copyto(out, wide, casting="unsafe")
        np.bitwise_and(rounded, np.uint32(0xFFFF0000), out=rounded)
        return Rounded(self._error(values, rounded.view(np.float32)), became_zero(values, out, self._narrow[:size]))

    def _error(self, values: Floats, rounded: Floats) -> float:
        error = np.subtract(values, rounded, out=self._wide.view(np.float32)[: values.size])
        return float(max(error.max(), -error.min()))


class TorchKernel:
    """The same by torch's library, which has the processor's own conversions. One thread: the other cores are hashing.

    Raises ImportError or OSError where the library cannot be had (see `LibTorch`).
    """

    name = "torch"

    def __init__(self) -> None:
        self._library = LibTorch()
        self._rounded, self._error = np.empty(PIECE, np.float32), np.empty(PIECE, np.float32)
        self._narrow = np.empty(PIECE, np.uint16)

    def half(self, values: Floats, out: Bits) -> Rounded | None:
        return self._round(values, out, "F16")

    def bfloat(self, values: Floats, out: Bits) -> Rounded | None:
        return self._round(values, out, "BF16")

    def _round(self, values: Floats, out: Bits, dtype: str) -> Rounded | None:
        if not values.size:
            return Rounded(0.0, 0)
        rounded, error = self._rounded[: values.size], self._error[: values.size]
        self._library.convert(values, "F32", out, dtype)
        self._library.convert(out, dtype, rounded, "F32")
        with np.errstate(invalid="ignore"):  # an infinity less itself; its piece is declined
            np.subtract(values, rounded, out=error)
        largest = max(float(error.max()), -float(error.min()))
        if not largest < float("inf"):
            return None
        return Rounded(largest + 0.0, became_zero(values, out, self._narrow[: values.size]))


def _round_even(bits: npt.NDArray[np.uint32], shifted: npt.NDArray[np.uint32], almost_half: npt.NDArray[np.uint32] | np.uint32) -> None:
    """Adds what makes cutting round to nearest even: just under half a step, and the step's last bit, which `shifted` begins with."""
    np.bitwise_and(shifted, _ONE, out=shifted)
    np.add(shifted, bits, out=shifted)
    np.add(shifted, almost_half, out=shifted)


def became_zero(before: Floats, after: Bits, scratch: Bits) -> int:
    """How many values other than zero are zero, of either sign, in `after`."""
    np.add(after, after, out=scratch)
    if np.count_nonzero(scratch) == after.size:
        return 0
    return int(np.count_nonzero(before[scratch == 0]))


def choose(cast_bytes: int) -> Kernel:
    """The kernel for a job that casts so many bytes. Torch, where it pays or is open already; numpy where it cannot be had."""
    if is_open() or cast_bytes >= TORCH_PAYS:
        try:
            return TorchKernel()
        except (ImportError, OSError):  # absent, or not to be opened from where this runs
            pass
    return NumpyKernel()
