"""Alphas that PEFT keeps beside the tensors: which one counts for a module, and that reading them stays cheap."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from inference.weights.merging.lora import plan_lora
from inference.weights.merging.peft import Alphas
from tests import tiny

MODULE = "unet.down_blocks.0.attentions.0.proj_in"


def alphas(**said: Any) -> Alphas:
    return Alphas({"lora_adapter_metadata": json.dumps({key.replace("__", "."): value for key, value in said.items()})})


@pytest.mark.parametrize(
    ("said", "alpha"),
    [
        ({}, None),
        ({"unet__lora_alpha": 8}, 8.0),
        ({"lora_alpha": 8}, 8.0),
        ({"text_encoder__lora_alpha": 8}, None),
        ({"unet__lora_alpha": 8, "unet__use_rslora": True}, 32.0),
        ({"unet__lora_alpha": 8, "unet__use_rslora": False}, 8.0),
        ({"unet__lora_alpha": 8, "text_encoder__use_rslora": True}, 8.0),
        ({"unet__lora_alpha": 8, "unet__alpha_pattern": {"down_blocks.0.attentions.0.proj_in": 2}}, 2.0),
        ({"unet__lora_alpha": 8, "unet__alpha_pattern": {"proj_in": 2}}, 2.0),
        ({"unet__lora_alpha": 8, "unet__alpha_pattern": {"proj_in": 2, "attentions.0.proj_in": 4}}, 4.0),
        ({"unet__lora_alpha": 8, "unet__alpha_pattern": {"roj_in": 2, "proj_out": 3}}, 8.0),
        ({"unet__alpha_pattern": {"proj_in": 2}, "unet__use_rslora": True}, 8.0),
        ({"unet__lora_alpha": True}, None),
        ({"unet__lora_alpha": "8"}, None),
        ({"unet__lora_alpha": -8}, None),
        ({"unet__lora_alpha": 8, "unet__alpha_pattern": ["proj_in"]}, 8.0),
        ({"unet__lora_alpha": 8, "unet__alpha_pattern": {"proj_in": None}}, 8.0),
    ],
)
def test_the_alpha_of_a_module_of_rank_16(said: dict[str, Any], alpha: float | None) -> None:
    assert alphas(**said).of(MODULE, 16) == alpha


@pytest.mark.parametrize("text", ["", "no json", "[1]", "[" * 100_000, "1" * 5000, '{"unet.lora_alpha": 8}' + " " * (4 << 20)])
def test_what_is_no_such_object_says_nothing(text: str) -> None:
    assert Alphas({"lora_adapter_metadata": text}).of(MODULE, 16) is None


def test_a_long_entry_is_read_once_for_thousands_of_modules() -> None:
    names = [f"model.diffusion_model.q{n}.weight" for n in range(5000)]
    factors = {
        f"unet.q{n}.{end}": ("F16", shape) for n in range(5000) for end, shape in (("lora_A.weight", (1, 2)), ("lora_B.weight", (2, 1)))
    }
    said = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 4, "x": ["abc"] * 200_000})}
    directory = tiny.directory_of(factors, metadata=said)
    begun = time.process_time()
    _, found = plan_lora("lora0", directory, dict.fromkeys(names, (2, 2)), 1.0)
    assert time.process_time() - begun < 10
    assert [item.baking.alpha for item in found] == [4.0] * 5000
