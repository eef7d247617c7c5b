"""Spherical interpolation: the formula in float64, its decimals, and where it gives way to the weighted sum."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.weights.merging.slerp import LANES, Angle, arccos, sine
from tests.inference.weights.merging import a1111
from tests.inference.weights.merging.models import FIRST, State, merged, model


def wanted(a: torch.Tensor, b: torch.Tensor, m: float) -> torch.Tensor:
    x, y = a.double().flatten(), b.double().flatten()
    cosine = torch.dot(x, y) / (x.norm() * y.norm())
    if not abs(cosine) <= 0.9995:
        return ((1 - m) * a.double() + m * b.double()).reshape(a.shape)
    t = torch.acos(cosine)
    return ((torch.sin((1 - m) * t) * x + torch.sin(m * t) * y) / torch.sin(t)).reshape(a.shape)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float16, 2**-10), (torch.bfloat16, 2**-7)])
@pytest.mark.parametrize("m", [0.3, 1.4])
def test_every_tensor_goes_along_its_arc(tmp_path: Path, dtype: torch.dtype, tolerance: float, m: float) -> None:
    a, b = model(1, dtype), model(2, dtype)
    _, outcome = merged(tmp_path, {"a": a, "b": b}, method="slerp", multiplier=m)
    found = a1111.read(tmp_path / "out.safetensors")
    for name, tensor in a.items():
        assert found[name].dtype == tensor.dtype
        if not name.endswith("position_ids"):
            torch.testing.assert_close(found[name].double(), wanted(tensor, b[name], m), rtol=tolerance, atol=tolerance)
    assert outcome.straight == 0


def test_parallel_zero_and_broken_vectors_are_summed(tmp_path: Path) -> None:
    line = torch.arange(1.0, 9.0)
    a: State = {"model.same": line, "model.zero": torch.zeros(8), "model.opposite": line.clone(), "model.nan": torch.full((8,), torch.nan)}
    b: State = {"model.same": 2 * line, "model.zero": line, "model.opposite": -line, "model.nan": line.clone()}
    _, outcome = merged(tmp_path, {"a": a, "b": b}, method="slerp", multiplier=0.25)
    found = a1111.read(tmp_path / "out.safetensors")
    assert outcome.straight == 4
    assert torch.equal(found["model.same"], 0.75 * line + 0.25 * (2 * line))
    assert torch.equal(found["model.zero"], 0.25 * line)
    assert torch.equal(found["model.opposite"], 0.5 * line)
    assert bool(found["model.nan"].isnan().all())


def test_a_quarter_turn_needs_no_tolerance(tmp_path: Path) -> None:
    a, b = {"model.a": torch.tensor([3.0, 0.0])}, {"model.a": torch.tensor([0.0, 5.0])}
    merged(tmp_path, {"a": a, "b": b}, method="slerp", multiplier=1 / 3)
    exact = torch.tensor([3 * math.cos(math.pi / 6), 5 * math.sin(math.pi / 6)])
    assert torch.equal(a1111.read(tmp_path / "out.safetensors")["model.a"], exact)


def test_more_channels_are_summed(tmp_path: Path) -> None:
    a, b = model(1, channels=9), model(2)
    merged(tmp_path, {"a": a, "b": b}, method="slerp", multiplier=0.3)
    found = a1111.read(tmp_path / "out.safetensors")[FIRST]
    torch.testing.assert_close(found[:, :4], 0.7 * a[FIRST][:, :4] + 0.3 * b[FIRST], rtol=1e-6, atol=1e-7)
    assert torch.equal(found[:, 4:], a[FIRST][:, 4:])


def test_sums_do_not_depend_on_how_the_vectors_are_cut() -> None:
    dice = np.random.default_rng(5)
    a, b = dice.standard_normal((2, 10 * LANES + 77), dtype=np.float32)
    answers = set()
    for step in (LANES, 3 * LANES, 100 * LANES):
        angle = Angle()
        for at in range(0, a.size, step):
            angle.add(a[at : at + step], b[at : at + step])
        answers.add(angle.coefficients(0.3))
    assert len(answers) == 1


@pytest.mark.parametrize("x", [-0.9995, -0.3, 0.0, 1e-9, 0.5, 0.9995])
def test_decimals_agree_with_the_mathematical_library(x: float) -> None:
    assert float(arccos(Decimal(x))) == pytest.approx(math.acos(x), rel=1e-15)
    assert float(sine(Decimal(x) * 30)) == pytest.approx(math.sin(x * 30), rel=1e-13, abs=1e-14)
    assert abs(sine(arccos(Decimal(x))) ** 2 + Decimal(x) ** 2 - 1) < Decimal(10) ** -25
