"""A1111's formulas by torch itself, for jobs so large that importing it pays; the same bits as `formulas.NumpyMaths`. Imported late."""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.weights.cast import NUMPY
from inference.weights.merging.formulas import Values
from inference.weights.merging.plan import wider


class TorchMaths:
    """One thread: the other cores are hashing. Raises ImportError where torch is not installed."""

    name = "torch"

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        self._torch: Any = torch
        self._types = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
        self._kept: dict[tuple[str, str], Any] = {}

    def weighted_sum(self, a: Values, b: Values, multiplier: float) -> Values:
        left = self._torch.mul(self._given(a), 1 - multiplier, out=self._memory("left", a))
        right = self._torch.mul(self._given(b), multiplier, out=self._memory("right", b))
        return self._back(left + right if a.dtype != b.dtype else left.add_(right), wider(a.dtype, b.dtype))

    def add_difference(self, a: Values, b: Values, c: Values | None, multiplier: float) -> Values:
        given = self._given(b)
        difference = self._torch.zeros_like(given) if c is None else given - self._given(c)
        dtype = b.dtype if c is None else wider(b.dtype, c.dtype)
        return self._back(self._given(a) + difference.mul_(multiplier), wider(a.dtype, dtype))

    def _given(self, values: Values) -> Any:
        if values.dtype == "BF16":
            return self._torch.from_numpy(values.array.view(np.int16)).view(self._torch.bfloat16)
        return self._torch.from_numpy(values.array)

    def _memory(self, name: str, values: Values) -> Any:
        key = (name, values.dtype)
        kept = self._kept.get(key)
        if kept is None or kept.numel() < values.array.size:
            kept = self._kept[key] = self._torch.empty(values.array.size, dtype=self._types[values.dtype])
        return kept[: values.array.size]

    def _back(self, tensor: Any, dtype: str) -> Values:
        plain = tensor.view(self._torch.int16) if dtype == "BF16" else tensor
        return Values(plain.numpy().view(NUMPY[dtype]), dtype)
