"""float32 to float16 where nobody asks how large the errors are: whole-array integer arithmetic, a third of numpy's own time. No files."""

from __future__ import annotations

import numpy as np

from inference.weights.cast import Array

MAGNITUDE = np.uint32(0x7FFFFFFF)
REBIAS = np.uint32((0xFFF - (113 << 23)) % (1 << 32))
"""Just under half a step of the 13 bits that are cut, and the exponent of float16's least normal number, 127 - 14."""
LEAST_NORMAL = np.uint16(0x0400)
NORMALS = np.uint32(0x7800)
"""So many normal magnitudes there are, counted from the least; whatever is not among them needs numpy's own conversion."""
SIGN = np.uint16(0x8000)


class Halves:
    """Rounds to nearest even in memory that it uses again; NaN keeps whatever payload the processor leaves it. For one thread."""

    def __init__(self, size: int) -> None:
        self._magnitude, self._rounded = np.empty(size, np.uint32), np.empty(size, np.uint32)
        self._sign, self._odd = np.empty(size, np.uint16), np.empty(size, np.bool_)

    def round(self, values: Array, out: Array) -> None:
        """float32 `values`, at most `size` of them, as float16 into `out`."""
        count, bits, halves = values.size, values.view(np.uint32), out.view(np.uint16)
        magnitude, rounded, sign = self._magnitude[:count], self._rounded[:count], self._sign[:count]
        np.bitwise_and(bits, MAGNITUDE, out=magnitude)
        np.right_shift(magnitude, np.uint32(13), out=rounded)
        np.bitwise_and(rounded, np.uint32(1), out=rounded)
        np.add(rounded, magnitude, out=rounded)
        np.add(rounded, REBIAS, out=rounded)
        np.right_shift(rounded, np.uint32(13), out=rounded)
        np.copyto(halves, rounded, casting="unsafe")
        np.add(halves, LEAST_NORMAL, out=halves)
        np.bitwise_and(bits.view(np.uint16)[1::2], SIGN, out=sign)
        np.bitwise_or(halves, sign, out=halves)
        odd = np.flatnonzero(np.greater_equal(rounded, NORMALS, out=self._odd[:count]))
        if odd.size:
            with np.errstate(all="ignore"):
                out[odd] = values[odd].astype(np.float16)
