"""What is written, under which names and types: decided from the directory alone, before a byte is read."""

from __future__ import annotations

import dataclasses
import time

import pytest

from inference.weights.plan import make_plan
from inference.weights.quantised import quantised_by
from inference.weights.recipe import Precision, Recipe
from registry.formats.directory import OtherEntry, Storage, TensorDirectory, TensorEntry, row_major
from registry.formats.errors import FormatError

UNET = "model.diffusion_model."


def directory_of(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> TensorDirectory:
    """Tensors of these types and shapes, each in a storage of its own."""
    entries = [
        TensorEntry(("state_dict", name), dtype, shape, at, 0, row_major(shape))
        for at, (name, (dtype, shape)) in enumerate(tensors.items())
    ]
    return TensorDirectory("torch-zip", tuple(Storage(str(at), at << 10, entry.nbytes) for at, entry in enumerate(entries)), tuple(entries))


QUANTISED = {
    "bitsandbytes nf4": ("bitsandbytes", {f"{UNET}a.weight": "U8", f"{UNET}a.weight.quant_state.bitsandbytes__nf4": "U8"}),
    "bitsandbytes absmax": ("bitsandbytes", {f"{UNET}a.weight": "U8", f"{UNET}a.weight.absmax": "F32"}),
    "bitsandbytes int8": ("bitsandbytes", {f"{UNET}a.weight": "I8", f"{UNET}a.SCB": "F32"}),
    "nunchaku": ("nunchaku", {"transformer_blocks.0.attn.qweight": "I8", "transformer_blocks.0.attn.wscales": "BF16"}),
    "scaled fp8": ("scaled FP8", {"scaled_fp8": "F8_E4M3", f"{UNET}a.weight": "F8_E4M3"}),
    "scale beside fp8": ("scaled 8-bit", {f"{UNET}a.weight": "F8_E4M3", f"{UNET}a.scale_weight": "F32"}),
    "quanto": ("quanto", {f"{UNET}a.weight._data": "I8", f"{UNET}a.weight._scale": "F16"}),
}
"""What shows it -> whose it is said to be, and the tensors."""


@pytest.mark.parametrize("case", QUANTISED)
@pytest.mark.parametrize("precision", ["fp16", "bf16", "fp32"])
def test_quantised_weights_are_given_no_other_precision(case: str, precision: Precision) -> None:
    whose, tensors = QUANTISED[case]
    directory = directory_of({name: (dtype, (4,)) for name, dtype in tensors.items()})
    with pytest.raises(FormatError, match="weights:quantised") as refusal:
        make_plan(directory, Recipe("all", precision))
    assert whose in refusal.value.sentence
    assert refusal.value.where in tensors
    assert {item.dtype for item in make_plan(directory, Recipe()).tensors} == set(tensors.values())


@pytest.mark.parametrize(("where", "refused"), [("state_dict", True), ("optimizer_states", False)])
def test_a_weight_that_no_file_can_hold_stops_the_copy_and_training_state_does_not(where: str, refused: bool) -> None:
    directory = directory_of({"a.weight": ("F32", (4,))})
    directory = dataclasses.replace(directory, others=(OtherEntry((where, "q"), "tensor", "quantised [3, 3]"),))
    if not refused:
        assert len(make_plan(directory, Recipe()).tensors) == 1
        return
    with pytest.raises(FormatError, match="weights:untyped") as refusal:
        make_plan(directory, Recipe())
    assert "quantised [3, 3]" in refusal.value.sentence
    assert refusal.value.where == "state_dict.q"


def test_plain_eight_bit_floats_and_scales_of_wide_weights_are_not_quantised() -> None:
    directory = directory_of(
        {f"{UNET}a.weight": ("F8_E4M3", (4,)), f"{UNET}b.weight": ("F32", (4,)), f"{UNET}b.weight_scale": ("F32", (1,))}
    )
    assert quantised_by({entry.path[1]: entry for entry in directory.tensors}) is None
    assert [item.dtype for item in make_plan(directory, Recipe("all", "fp16")).tensors] == ["F16", "F16", "F8_E4M3"]


def test_noise_schedules_and_counters_stay_as_precise_as_they_are() -> None:
    tensors = {
        "betas": ("F32", (1000,)),
        "alphas_cumprod": ("F64", (1000,)),
        "model_ema.decay": ("F32", ()),
        f"{UNET}a.weight": ("F32", (4,)),
    }
    plan = make_plan(directory_of(tensors), Recipe("all", "fp16"))
    assert {item.name: item.dtype for item in plan.tensors} == {
        "betas": "F32", "alphas_cumprod": "F64", "model_ema.decay": "F32", f"{UNET}a.weight": "F16"
    }  # fmt: skip


def test_views_that_differ_in_shape_or_type_are_not_aliases() -> None:
    views = [((4,), "F32"), ((2, 2), "F32"), ((4,), "I32"), ((0,), "F32"), ((0,), "F32"), ((4,), "F32")]
    entries = tuple(TensorEntry((f"t{at}",), dtype, shape, 0, 0, row_major(shape)) for at, (shape, dtype) in enumerate(views))
    plan = make_plan(TensorDirectory("torch-zip", (Storage("0", 0, 16),), entries), Recipe())
    assert plan.aliases == {"t5": "t0"}
    assert sorted(item.name for item in plan.tensors) == ["t0", "t1", "t2", "t3", "t4"]
    assert plan.shared == [["t0", "t1", "t2"]]


def test_one_view_under_an_exact_name_and_another_is_written_in_both_types() -> None:
    entries = tuple(TensorEntry((name,), "F32", (4,), 0, 0, (1,)) for name in ("betas", "copy of betas"))
    plan = make_plan(TensorDirectory("torch-zip", (Storage("0", 0, 16),), entries), Recipe("all", "fp16"))
    assert {item.name: item.dtype for item in plan.tensors} == {"betas": "F32", "copy of betas": "F16"}


def test_plain_metadata_keeps_every_name() -> None:
    entries = tuple(TensorEntry((name,), "F32", (4,), 0, 0, (1,)) for name in ("a", "b"))
    directory = TensorDirectory("torch-zip", (Storage("0", 0, 16),), entries)
    assert make_plan(directory, Recipe(), {"format": "pt"}).aliases == {}
    assert make_plan(directory, Recipe(), {"format": "pt", "title": "x"}).aliases == {"b": "a"}


@pytest.mark.parametrize("recipe", [Recipe(), Recipe("weights", "fp16"), Recipe("ema", "bf16")], ids=["twin", "pruned", "ema"])
def test_two_hundred_thousand_tensors_are_planned_in_seconds(recipe: Recipe) -> None:
    names = [f"{UNET}layer{number}.weight" for number in range(100_000)]
    averages = [f"model_ema.{name.removeprefix('model.').replace('.', '')}" for name in names]
    directory = directory_of(dict.fromkeys(names + averages, ("F32", (2, 2))))
    started = time.process_time()
    assert len(make_plan(directory, recipe).tensors) in (100_000, 200_000)
    assert time.process_time() - started < 4  # twice what it may take: this machine may be busy
