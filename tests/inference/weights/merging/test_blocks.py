"""Block weights: every tensor of a UNet takes the weight of its block and of no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inference.weights.merging.blocks import block_index, block_weights
from tests import tiny
from tests.inference.weights.merging import a1111
from tests.inference.weights.merging.models import merged, model

U = "model.diffusion_model."
SD1 = ["BASE", *(f"IN{n:02}" for n in range(12)), "M00", *(f"OUT{n:02}" for n in range(12))]
SDXL = ["BASE", *(f"IN{n:02}" for n in range(9)), "M00", *(f"OUT{n:02}" for n in range(9))]
INSIDE = {
    "IN00": ("input_blocks.0.", "time_embed."),
    "IN07": ("input_blocks.7.",),
    "IN11": ("input_blocks.11.",),
    "M00": ("middle_block.",),
    "OUT00": ("output_blocks.0.",),
    "OUT11": ("output_blocks.11.", "out."),
}


@pytest.mark.parametrize("block", INSIDE)
def test_a_weight_changes_its_block_alone(tmp_path: Path, block: str) -> None:
    a, b = model(1), model(2)
    made, outcome = merged(tmp_path, {"a": a, "b": b}, blocks=[0.4 if name == block else 0 for name in SD1], multiplier=0.9)
    weights = {name: 0.4 if name.startswith(tuple(U + start for start in INSIDE[block])) else 0.0 for name in a}
    assert made == a1111.written(a1111.merge(a, b, weights=weights))
    assert outcome.counts["merged"] == sum(weight > 0 for weight in weights.values())


def test_every_block_with_a_weight_of_its_own(tmp_path: Path) -> None:
    a, b = model(1), model(2)
    values = [0.01 * (1 + number) for number in range(26)]
    made, _ = merged(tmp_path, {"a": a, "b": b}, blocks=values)
    weights = {name: values[block_index(name, 12)] for name in a}
    assert made == a1111.written(a1111.merge(a, b, weights=weights))


@pytest.mark.parametrize(
    ("name", "depth", "block"),
    [
        (f"{U}input_blocks.0.0.weight", 12, "IN00"),
        (f"{U}input_blocks.11.0.in_layers.0.weight", 12, "IN11"),
        (f"{U}middle_block.1.proj_in.weight", 12, "M00"),
        (f"{U}output_blocks.0.0.in_layers.0.weight", 12, "OUT00"),
        (f"{U}output_blocks.11.1.norm.bias", 12, "OUT11"),
        (f"{U}out.2.weight", 12, "OUT11"),
        (f"{U}time_embed.0.weight", 12, "IN00"),
        ("first_stage_model.decoder.conv_in.weight", 12, "BASE"),
        ("cond_stage_model.transformer.text_model.final_layer_norm.bias", 12, "BASE"),
        (f"{U}input_blocks.8.1.norm.weight", 9, "IN08"),
        (f"{U}middle_block.0.in_layers.0.weight", 9, "M00"),
        (f"{U}output_blocks.8.0.in_layers.0.weight", 9, "OUT08"),
        (f"{U}out.0.bias", 9, "OUT08"),
        (f"{U}label_emb.0.0.weight", 9, "IN00"),
        (f"{U}time_embed.2.bias", 9, "IN00"),
        ("conditioner.embedders.1.model.ln_final.weight", 9, "BASE"),
        ("diffusion_model.input_blocks.3.0.op.weight", 9, "IN03"),
    ],
)
def test_the_block_of_a_name(name: str, depth: int, block: str) -> None:
    assert (SD1 if depth == 12 else SDXL)[block_index(name, depth)] == block


def test_without_base_the_multiplier_takes_its_place() -> None:
    names = [f"{U}input_blocks.{n}.0.weight" for n in range(12)] + ["first_stage_model.x"]
    weights = block_weights(names, tuple(n / 100 for n in range(25)), 0.77)
    assert weights["first_stage_model.x"] == 0.77
    assert weights[f"{U}input_blocks.0.0.weight"] == 0.0
    assert weights[f"{U}input_blocks.11.0.weight"] == 0.11


def test_an_average_goes_with_its_weight(tmp_path: Path) -> None:
    a, b = tiny.with_ema(model(1)), tiny.with_ema(model(2))
    merged(tmp_path, {"a": a, "b": b}, blocks=[0.5 if name == "IN01" else 0 for name in SD1])
    found = a1111.read(tmp_path / "out.safetensors")
    changed = {name for name in a if not torch.equal(a[name], found[name])}
    averages = {name for name in changed if name.startswith("model_ema.")}
    assert averages == {f"model_ema.{name.removeprefix('model.').replace('.', '')}" for name in changed - averages}
    assert all(name.startswith(f"{U}input_blocks.1.") for name in changed - averages)
    assert averages
