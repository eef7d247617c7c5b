"""Numbers at the edge: infinities and NaN in and out, what no longer fits a type, tensors without numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.weights.cast import NUMPY
from inference.weights.merging import merge as merging
from inference.weights.merging.formulas import NumpyMaths, Values, settle
from inference.weights.merging.torchmaths import TorchMaths
from inference.weights.merging.values import fold
from tests.inference.weights.merging import a1111
from tests.inference.weights.merging.models import merged

QUIET = {"F16": 0x7E00, "BF16": 0x7FC0, "F32": 0x7FC00000, "F64": 0x7FF8000000000000}
UNSIGNED = {"F16": "<u2", "BF16": "<u2", "F32": "<u4", "F64": "<u8"}


@pytest.mark.parametrize("maker", [NumpyMaths, TorchMaths])
@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_every_16_bit_pattern_merges_to_the_same_bits_by_both_makers(maker: type[NumpyMaths], dtype: str) -> None:
    patterns = np.arange(1 << 16, dtype="<u2")
    dice = np.random.default_rng(1)
    for multiplier in (0.3, 0.5, 1.0, -2.25, 1e-9):
        others = patterns.copy()
        dice.shuffle(others)
        a, b = (Values(bits.view(NUMPY[dtype]).copy(), dtype) for bits in (patterns, others))
        wanted = NumpyMaths().weighted_sum(a, b, multiplier)
        made = maker().weighted_sum(a, b, multiplier)
        wanted, made = (Values(values.array.copy(), dtype) for values in (wanted, made))
        assert settle(made, [a, b]) == settle(wanted, [a, b])
        assert np.array_equal(made.array.view("<u2"), wanted.array.view("<u2"))


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_a_nan_is_written_with_one_pattern_and_counted_where_it_came_in(dtype: str) -> None:
    kind = UNSIGNED[dtype]
    size = np.dtype(kind).itemsize * 8
    payloads = np.array([(1 << size) - 1, QUIET[dtype] | 5, QUIET[dtype] | 1 << (size - 1), 0], dtype=kind)
    before = payloads.copy()
    losses = settle(Values(payloads.view(NUMPY[dtype]), dtype), [Values(before.view(NUMPY[dtype]), dtype)])
    assert payloads.tolist() == [QUIET[dtype]] * 3 + [0]
    assert (losses.nonfinite, losses.nan, losses.overflow) == (3, 3, 0)


def test_what_becomes_infinite_is_counted_by_tensor_and_warned_about(tmp_path: Path) -> None:
    a = {"model.a": torch.tensor([60000.0, 1.0, torch.inf]).half(), "model.b": torch.ones(2).half()}
    b = {"model.a": torch.tensor([60000.0, 1.0, 1.0]).half(), "model.b": torch.ones(2).half()}
    c = {"model.a": torch.tensor([-60000.0, 1.0, 1.0]).half(), "model.b": torch.ones(2).half()}
    _, outcome = merged(tmp_path, {"a": a, "b": b, "c": c}, method="add_difference", multiplier=1.0)
    assert outcome.losses.overflow == 1
    assert outcome.losses.nonfinite == 1
    assert set(outcome.lossy) == {"model.a"}
    assert outcome.warnings == ["1 values became infinite (model.a): they are too large for the type. Choose bf16 or fp32."]
    assert outcome.to_json()["lossy"] == {"model.a": {"overflow": 1, "underflow": 0, "nonfinite": 1}}


def test_the_last_cast_counts_too(tmp_path: Path) -> None:
    a = {"model.a": torch.tensor([70000.0, 1e-9, 1.0])}
    _, outcome = merged(tmp_path, {"a": a, "b": a}, precision="fp16")
    assert (outcome.losses.overflow, outcome.losses.underflow, outcome.losses.nonfinite) == (1, 1, 0)


def test_tensors_without_numbers_and_without_dimensions_are_merged(tmp_path: Path) -> None:
    a = {"model.none": torch.zeros(0, 5), "model.one": torch.tensor(1.5), "model.a": torch.ones(2)}
    b = {"model.none": torch.zeros(0, 5), "model.one": torch.tensor(0.5), "model.a": torch.ones(2)}
    made, _ = merged(tmp_path, {"a": a, "b": b}, multiplier=0.25)
    assert made == a1111.written(a1111.merge(a, b, m=0.25))


def test_truths_and_complex_numbers_are_copied(tmp_path: Path) -> None:
    a = {"model.a": torch.ones(2), "model.flags": torch.tensor([True, False]), "model.c": torch.tensor([1 + 2j], dtype=torch.complex64)}
    b = {"model.a": torch.ones(2), "model.flags": torch.tensor([False, False]), "model.c": torch.tensor([0j], dtype=torch.complex64)}
    _, outcome = merged(tmp_path, {"a": a, "b": b})
    found = a1111.read(tmp_path / "out.safetensors")
    assert torch.equal(found["model.flags"], a["model.flags"])
    assert torch.equal(found["model.c"], a["model.c"])
    assert outcome.counts == {"merged": 1, "copied: whole numbers": 2}


def test_a_sum_is_folded_in_one_order() -> None:
    values = np.random.default_rng(3).standard_normal(1001)
    assert float(fold(values.copy())) == pytest.approx(float(values.sum()), rel=1e-12)
    assert float(fold(np.array([1e16, 1.0, -1e16, 1.0]))) == (1e16 - 1e16) + 2.0


def test_small_jobs_do_without_torch_where_it_is_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from inference.weights import libtorch
    from inference.weights.merging.plan import plan_merge
    from inference.weights.merging.recipe import MergeRecipe
    from tests.tiny import directory_of

    small = directory_of({"model.a": ("F16", (1 << 20, 64, 1))})
    large = directory_of({"model.a": ("F16", (1 << 20, 1024, 1))})
    monkeypatch.setattr(libtorch, "is_open", lambda: False)
    assert merging.maths_for(plan_merge({"a": small, "b": small}, MergeRecipe())).name == "numpy"
    monkeypatch.undo()
    assert merging.maths_for(plan_merge({"a": large, "b": large}, MergeRecipe())).name == "torch"
