"""Which variants a file is worth, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inference.weights.offers import worthwhile
from inference.weights.plan import make_plan
from inference.weights.recipe import Recipe, twin_recipe, variant_suffix
from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.formats.errors import FormatError, LimitExceeded
from tests import tiny

FP16_PRUNED, FP16_EMA = Recipe("weights", "fp16"), Recipe("ema", "fp16")


@pytest.mark.parametrize(
    ("ema", "optimizer", "dtype", "wanted"),
    [
        (True, True, torch.float32, [FP16_PRUNED, FP16_EMA]),
        (False, True, torch.float32, [FP16_PRUNED]),
        (True, False, torch.float16, [Recipe("weights", "keep"), Recipe("ema", "keep")]),
        (True, False, torch.bfloat16, [Recipe("weights", "keep"), Recipe("ema", "keep")]),
        (False, True, torch.float16, []),
        (False, False, torch.bfloat16, []),
    ],
)
def test_variants_of_a_checkpoint(tmp_path: Path, ema: bool, optimizer: bool, dtype: torch.dtype, wanted: list[Recipe]) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt", ema=ema, optimizer=optimizer, dtype=dtype)
    assert worthwhile(tiny.read_directory(source)) == wanted


def test_small_files_get_no_variants(tmp_path: Path) -> None:
    for source in (
        tiny.lora_safetensors(tmp_path / "l.safetensors", dtype=torch.float32),
        tiny.embedding_pt(tmp_path / "e.pt"),
        tiny.vae_safetensors(tmp_path / "v.safetensors"),
        tiny.hypernetwork_pt(tmp_path / "h.pt"),
    ):
        assert worthwhile(tiny.read_directory(source)) == []


@pytest.mark.parametrize(
    ("recipe", "suffix"),
    [
        (twin_recipe(), ""),
        (FP16_PRUNED, "-pruned-fp16"),
        (FP16_EMA, "-ema-fp16"),
        (Recipe("weights", "keep"), "-pruned"),
        (Recipe("all", "bf16"), "-bf16"),
    ],
)
def test_suffix_says_what_was_done(recipe: Recipe, suffix: str) -> None:
    assert variant_suffix(recipe) == suffix


def test_twin_keeps_averages_and_leaves_training_state_behind(tmp_path: Path) -> None:
    plan = make_plan(tiny.read_directory(tiny.lightning_checkpoint(tmp_path / "a.ckpt")), twin_recipe())
    assert len(plan.tensors) == 1131 + 688
    assert set(plan.dropped) == {"training state"}
    assert plan.dropped["training state"].examples[0] == "optimizer_states.0.state.0.step"


def directory(**shapes: tuple[int, ...]) -> TensorDirectory:
    rows = [TensorEntry((name.replace("__", "."),), "F32", shape, 0, 0, (1,) * len(shape)) for name, shape in shapes.items()]
    return TensorDirectory("torch-zip", (Storage("0", 0, 1 << 20),), tuple(rows))


def test_average_of_another_shape_is_refused() -> None:
    with pytest.raises(FormatError, match="weights:ema-shape") as refusal:
        make_plan(directory(model__a=(4,), model_ema__a=(5,)), Recipe("ema"))
    assert refusal.value.where == "model.a"


def test_average_without_a_weight_is_left_out_and_said() -> None:
    plan = make_plan(directory(model__a=(4,), model_ema__a=(4,), model_ema__b=(4,)), Recipe("ema"))
    assert [item.name for item in plan.tensors] == ["model.a"]
    assert plan.dropped["EMA without a weight of its name"].examples == ["model_ema.b"]


def test_two_tensors_of_one_name_are_refused() -> None:
    rows = tuple(TensorEntry(path, "F32", (1,), 0, 0, (1,)) for path in (("a.b",), ("a", "b"), ("c",)))
    with pytest.raises(FormatError, match="weights:duplicate-name"):
        make_plan(TensorDirectory("torch-zip", (Storage("0", 0, 4),), rows), twin_recipe())


def test_scattered_tensor_of_many_megabytes_is_refused() -> None:
    entry = TensorEntry(("a",), "F32", (10_000, 10_000), 0, 0, (1, 10_000))
    with pytest.raises(LimitExceeded, match="weights:too-large"):
        make_plan(TensorDirectory("torch-zip", (Storage("0", 0, 400_000_000),), (entry,)), twin_recipe())


def test_eight_bit_floats_and_whole_numbers_are_never_recast() -> None:
    rows = tuple(TensorEntry((dtype,), dtype, (1,), 0, 0, (1,)) for dtype in ("F8_E4M3", "I64", "U8", "F64", "BF16"))
    plan = make_plan(TensorDirectory("torch-zip", (Storage("0", 0, 8),), rows), Recipe("weights", "fp16"))
    assert {item.name: item.dtype for item in plan.tensors} == {"F8_E4M3": "F8_E4M3", "I64": "I64", "U8": "U8", "F64": "F16", "BF16": "F16"}
