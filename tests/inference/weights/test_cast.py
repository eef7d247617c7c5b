"""Casts against torch on every half and bfloat16 boundary, and the counts of what a cast loses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.weights.cast import NUMPY, cast, widen

TORCH = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def interesting_floats() -> np.ndarray:
    """Every bfloat16 and every half as float32, the middles between neighbouring halves, and random bit patterns."""
    every = np.arange(65536, dtype=np.uint16)
    halves = every.view(np.float16).astype(np.float32)
    bfloats = (every.astype(np.uint32) << 16).view(np.float32)
    middles = (np.arange(65536, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    finite = np.sort(halves[np.isfinite(halves)]).astype(np.float64)
    between = ((finite[1:] + finite[:-1]) / 2).astype(np.float32)
    dice = np.random.default_rng(0).integers(0, 2**32, 300_000, dtype=np.uint32).view(np.float32)
    return np.concatenate([halves, bfloats, middles, between, dice])


def as_torch(values: np.ndarray, dtype: str) -> torch.Tensor:
    return torch.from_numpy(values.copy()).view(torch.bfloat16) if dtype == "BF16" else torch.from_numpy(values.copy())


@pytest.mark.parametrize("target", ["F16", "BF16"])
def test_narrowing_rounds_as_torch_does(target: str) -> None:
    values = interesting_floats()
    got, _ = cast(values, "F32", target)
    want = as_torch(values, "F32").to(TORCH[target])
    have = as_torch(got, target)
    nan = torch.isnan(want)
    assert torch.equal(torch.isnan(have), nan)
    assert torch.equal(have.view(torch.int16)[~nan], want.view(torch.int16)[~nan])


@pytest.mark.parametrize("source", ["F16", "BF16"])
@pytest.mark.parametrize("target", ["F32", "F16", "BF16"])
def test_every_sixteen_bit_pattern_casts_as_torch_does(source: str, target: str) -> None:
    values = np.arange(65536, dtype=np.uint16).view(NUMPY[source])
    got, _ = cast(values, source, target)
    want = as_torch(values, source).to(TORCH[target])
    assert torch.equal(torch.nan_to_num(as_torch(got, target).double(), nan=1e300), torch.nan_to_num(want.double(), nan=1e300))


def test_float64_is_rounded_once_not_twice() -> None:
    # Just above the middle of two neighbours: rounding to float32 first would land on the middle, and then on the even one below.
    half_way = np.array([1 + 2**-11 + 2**-40, 1 + 2**-8 + 2**-40, -(1 + 2**-8 + 2**-40), 3.4e38, 1e308])
    assert cast(half_way[:1], "F64", "F16")[0][0] == np.float16(1 + 2**-10)
    rounded = widen(cast(half_way, "F64", "BF16")[0])
    assert list(rounded[1:3]) == [1 + 2**-7, -(1 + 2**-7)]
    assert list(np.isinf(rounded)) == [False, False, False, True, True]


def test_what_a_cast_loses_is_counted() -> None:
    values = np.array([65519.9, 65520, -1e30, 1e-30, -1e-9, 0.0, -0.0, np.nan, np.inf, -np.inf, 1.5], dtype=np.float32)
    _, losses = cast(values, "F32", "F16")
    assert (losses.overflow, losses.underflow, losses.nonfinite) == (2, 2, 3)
    _, losses = cast(values, "F32", "BF16")
    assert (losses.overflow, losses.underflow, losses.nonfinite) == (0, 0, 3)
    _, losses = cast(np.array([1e300, 1e-300, 2.0]), "F64", "F32")
    assert (losses.overflow, losses.underflow, losses.nonfinite) == (1, 1, 0)


def test_same_type_is_not_touched() -> None:
    values = np.array([np.nan, 1], dtype=np.float32)
    got, losses = cast(values, "F32", "F32")
    assert got is values
    assert not losses.any()
