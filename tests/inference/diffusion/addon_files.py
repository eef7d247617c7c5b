"""Loaded tiny models, and add-ons of every flavour for one of their layers with what each adds, computed in float64."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch

from inference.diffusion.loading import Model, load_model
from inference.diffusion.weightfile import WeightFile
from tests import diffusion_models
from tests.opened_weights import opened

State = dict[str, torch.Tensor]
torch.set_num_threads(1)

PLACES = {
    "linear": (
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        "unet",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
    ),
    "1x1": ("lora_unet_down_blocks_1_attentions_1_proj_in", "unet", "down_blocks.1.attentions.1.proj_in"),
    "3x3": ("lora_unet_mid_block_resnets_0_conv1", "unet", "mid_block.resnets.0.conv1"),
    "text": ("lora_te_text_model_encoder_layers_1_mlp_fc1", "clip-l", "encoder.layers.1.mlp.fc1"),
}
"""A layer of each sort: kohya's name, the part of the model, the module in it."""


def tiny(family: str = "sd1") -> Model:
    """The tiny model of a family, loaded once. Nothing may change it for good."""
    return _loaded(family)


@cache
def _loaded(family: str) -> Model:
    makers = {
        "sd1": diffusion_models.tiny_checkpoint,
        "sd2": diffusion_models.tiny_sd2,
        "sdxl": diffusion_models.tiny_sdxl,
        "inpaint": diffusion_models.tiny_inpainting,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = makers[family](Path(folder) / "model.safetensors")
        with opened(path) as weights:
            return load_model(weights, device="cpu", dtype=torch.float32, prediction="epsilon" if family == "sd2" else None)


def given(folder: Path, state: State, metadata: Mapping[str, str] | None = None, name: str = "addon") -> WeightFile:
    """The state as an open safetensors file."""
    return opened(diffusion_models.written(folder / f"{name}.safetensors", state, dict(metadata or {"format": "pt"})))


def layer(model: Model, part: str, module: str) -> torch.nn.Module:
    """A layer by its part and its name in it."""
    whole = model.unet if part == "unet" else next(one.model for one in model.encoders if one.kind == part)
    return dict(whole.named_modules())[module]


def weight_of(model: Model, place: str) -> torch.Tensor:
    _, part, module = PLACES[place]
    return layer(model, part, module).weight


def parameters(model: Model) -> dict[str, torch.Tensor]:
    """Every parameter by part and name."""
    parts = {"unet": model.unet, **{one.kind: one.model for one in model.encoders}}
    return {f"{part} {name}": one.data for part, module in parts.items() for name, one in module.named_parameters()}


def originals(family: str = "sd1") -> dict[str, torch.Tensor]:
    """Copies of a tiny model's parameters, as they were when they were first asked for."""
    return _originals(family)


@cache
def _originals(family: str) -> dict[str, torch.Tensor]:
    return {name: one.clone() for name, one in parameters(tiny(family)).items()}


def differences(family: str = "sd1") -> set[str]:
    """Names of the parameters of a tiny model of which any bit is not as it was."""
    now = parameters(tiny(family))
    return {name for name, was in originals(family).items() if not torch.equal(was.view(torch.int32), now[name].view(torch.int32))}


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def lora_of(module: str, shape: torch.Size, rank: int = 4, alpha: float | None = 2.0) -> tuple[State, torch.Tensor]:
    """A kohya LoRA of one layer, and what it adds at strength 1."""
    down, up = numbers(1, rank, *shape[1:]), numbers(2, shape[0], rank, *([1, 1] if len(shape) == 4 else []))
    state = {f"{module}.lora_down.weight": down, f"{module}.lora_up.weight": up}
    if alpha is not None:
        state[f"{module}.alpha"] = torch.tensor(alpha)
    scale = 1.0 if alpha is None else alpha / rank
    return state, (up.double().reshape(shape[0], rank) @ down.double().reshape(rank, -1)).reshape(shape) * scale
