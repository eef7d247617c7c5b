"""Random headers under honest names: a merge of them is planned and made, or refused in a sentence; nothing else happens."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from inference.weights.merging.merge import Given, merge
from inference.weights.merging.plan import plan_merge
from inference.weights.merging.recipe import MergeRecipe
from registry.formats.directory import Storage, TensorDirectory, TensorEntry, row_major
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError
from tests.inference.weights.merging.test_lora import CONV, LINEAR, TEXT

MODEL = [
    "model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.input_blocks.1.1.proj_in.weight", LINEAR[1], CONV[1], TEXT[1],
    TEXT[1].replace(".weight", ".bias"), "first_stage_model.decoder.conv_in.weight", "betas", "model_ema.num_updates", "model_ema.decay",
    "cond_stage_model.transformer.text_model.embeddings.position_ids", "cond_stage_model.transformer.final_layer_norm.bias",
]  # fmt: skip
ROLES = [
    "lora_down.weight", "lora_up.weight", "lora_mid.weight", "alpha", "scale", "dora_scale", "hada_w1_a", "hada_w1_b", "hada_w2_a",
    "hada_w2_b",    "hada_t1", "hada_t2", "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "diff",
    "diff_b", "w_norm",
    "b_norm", "oft_blocks", "on_input",
]  # fmt: skip
VAE = ["decoder.conv_in.weight", "first_stage_model.decoder.conv_in.weight", "loss.logvar"]
TYPES = ["F32"] * 60 + ["F16"] * 30 + ["BF16"] * 20 + ["F64"] * 5 + ["I64", "U8", "BOOL", "F8_E4M3", "C64"]


def shape(dice: random.Random) -> tuple[int, ...]:
    return tuple(dice.choice([0, 1, 1, 2, 2, 3, 4, 4, 8, 8, 9]) for _ in range(dice.choice([0, 1, 2, 2, 2, 3, 4, 4])))


def directory(dice: random.Random, names: list[str], usual: dict[str, tuple[int, ...]]) -> TensorDirectory:
    chosen = [name for name in names if dice.random() < 0.8]
    rows = [(name, dice.choice(TYPES), usual.get(name) if dice.random() < 0.98 else shape(dice)) for name in chosen]
    storages, tensors, at = [], [], 8
    for number, (name, dtype, given) in enumerate(rows):
        dims = shape(dice) if given is None else given
        size = int(np.prod(dims, dtype=np.int64)) * SIZES[dtype]
        storages.append(Storage(name, at, size))
        tensors.append(TensorEntry((name,), dtype, dims, number, 0, row_major(dims)))
        at += size
    return TensorDirectory("safetensors", tuple(storages), tuple(tensors))


def lora_names(dice: random.Random) -> list[str]:
    modules = [LINEAR[0], CONV[0], TEXT[0], "lora_unet_nowhere", "unet.mid_block.attentions.0.proj_in"]
    return [f"{module}.{role}" for module in dice.sample(modules, 2) for role in dice.sample(ROLES, dice.randint(1, 5))]


def recipe(dice: random.Random) -> MergeRecipe:
    return MergeRecipe(
        method=dice.choice(["weighted_sum", "add_difference", "slerp", "no_interpolation"]),
        multiplier=dice.choice([0, 0.3, 1, -2.5]),
        precision=dice.choice(["keep", "keep", "fp32", "fp16", "bf16"]),
        vae=dice.random() < 0.3,
        loras=(0.7,) * dice.choice([0, 1, 1, 2]),
        discard=dice.choice(["", "", "^betas", "weight$"]),
        copied_too=dice.random() < 0.5,
        metadata="plain",
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_merge_of_anything_is_made_or_refused_in_a_sentence(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    bytes_ = np.random.default_rng(seed).integers(0, 256, 1 << 16, dtype=np.uint8).tobytes()
    (tmp_path / "bytes").write_bytes(bytes_ * 4)
    made = refused = 0
    for _ in range(250):
        asked = recipe(dice)
        usual = {name: shape(dice) for name in MODEL}
        inputs = {}
        for role in asked.roles:
            names = VAE if role == "vae" else lora_names(dice) if role.startswith("lora") else MODEL
            inputs[role] = Given(tmp_path / "bytes", directory(dice, names, usual))
        try:
            plan = plan_merge({role: given.directory for role, given in inputs.items()}, asked)
            outcome = merge(inputs, tmp_path / "out", asked)
            assert outcome.tensors == len(plan.tensors)
            made += 1
        except FormatError as error:
            refused += error.sentence.endswith(".")
    assert made > 10
    assert made + refused == 250
    assert {path.name for path in tmp_path.iterdir()} == {"bytes", "out"}
