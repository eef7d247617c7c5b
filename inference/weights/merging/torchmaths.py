"""The formulas of `formulas.NumpyMaths` with 16-bit numbers widened and rounded by torch's library; the same bits, and faster."""

from __future__ import annotations

import numpy as np

from inference.weights.cast import Array
from inference.weights.libtorch import LibTorch
from inference.weights.merging.formulas import PIECE, NumpyMaths, Values
from inference.weights.merging.values import BITS_16


class TorchMaths(NumpyMaths):
    """For one thread: the other cores are hashing. Raises ImportError or OSError where the library cannot be had (see `LibTorch`)."""

    name = "torch"

    def __init__(self) -> None:
        super().__init__()
        self._library = LibTorch()
        self._rounded = np.empty(PIECE, np.uint16)
        self._wide = {slot: np.empty(PIECE, np.float32) for slot in ("left", "right")}

    def _exact(self, values: Values, slot: str) -> Array:
        if values.dtype not in BITS_16:
            return values.array
        wide = self._wide[slot][: values.array.size]
        self._library.convert(values.array, values.dtype, wide, "F32")
        return wide

    def _times(self, values: Values, scalar: float, slot: str) -> Array:
        if values.dtype not in BITS_16:
            return super()._times(values, scalar, slot)
        product = self._exact(values, slot)
        np.multiply(product, np.float32(scalar), out=product)
        rounded = self._rounded[: product.size]
        self._library.convert(product, "F32", rounded, values.dtype)
        self._library.convert(rounded, values.dtype, product, "F32")
        return product

    def _sum(self, left: Array, right: Array, made: Values) -> None:
        if made.dtype not in BITS_16:
            np.add(left, right, out=made.array)
            return
        np.add(left, right, out=left)  # where the sum has 16 bits both sides have, so that the left one lies in a slot
        self._library.convert(left, "F32", made.array, made.dtype)
