"""Small models with random weights in the true single-file layouts, that load, sample and decode; untrained, so no picture shows a thing.

Widths are multiples of 64, so that the rules for heads and groups hold. The same arguments give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from samples.layout import Row, Widths, clip, ema_name, sd1, vae
from tests.registry.identify.unets import Shape, open_clip, rows

State = dict[str, torch.Tensor]
TINY = Widths(unet=(64, 64, 64, 64), vae=(32, 32, 64, 64), clip=64, clip_layers=3)
U, V = "model.diffusion_model.", "first_stage_model."
TINY_SD2 = Shape((64, 64, 64, 64), (1, 1, 1, 1, 1, 1, 0, 0), (0, 0, 0) + (1,) * 9, 1, 64)
TINY_SDXL = Shape((64, 64, 128), (0, 0, 1, 1, 2, 2), (2, 2, 2, 1, 1, 1, 0, 0, 0), 2, 64 + 128, labels=128 + 6 * 256)
TINY_REFINER = Shape((64, 64, 128, 128), (0, 0, 1, 1, 1, 1, 0, 0), (0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0), 1, 128, labels=128 + 5 * 256)
TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def drawn(name: str, shape: tuple[int, ...], dice: np.random.Generator) -> torch.Tensor:
    """A parameter as a fresh model has it: norms pass values through, biases are zero, matrices keep the variance of what goes in."""
    if name.endswith("position_ids"):
        return torch.arange(77).reshape(shape)
    if len(shape) < 2:
        return torch.ones(shape) if name.endswith((".weight", "scale")) else torch.zeros(shape)
    scale = 0.2 if "embedding" in name and "token" in name else 0.02 if "embedding" in name else float(np.prod(shape[1:])) ** -0.5
    return torch.from_numpy(dice.standard_normal(shape, dtype=np.float32) * np.float32(scale))


def state_of(layout: dict[str, tuple[int, ...]], *, seed: int = 0, dtype: str = "F32") -> State:
    """Every tensor of a layout, drawn anew."""
    dice = np.random.default_rng(seed)
    tensors = {name: drawn(name, shape, dice) for name, shape in layout.items()}
    return {name: one if one.dtype == torch.int64 else one.to(TYPES[dtype]) for name, one in tensors.items()}


def written(path: Path, state: State, metadata: dict[str, str] | None = None) -> Path:
    """The state as a safetensors file."""
    path.write_bytes(save({name: one.contiguous() for name, one in state.items()}, metadata or {"format": "pt"}))
    return path


def sd1_state(*, seed: int = 0, dtype: str = "F32", latent_in: int = 4, ema: bool = False) -> State:
    """SD 1.x, 1131 tensors; `latent_in` 9 is an inpainting model, 8 one of instruct-pix2pix. The averages are 0.9 of the weights."""
    state = state_of(sd1(Widths(TINY.unet, TINY.vae, TINY.clip, TINY.clip_layers, latent_in=latent_in)), seed=seed, dtype=dtype)
    averages = {name: tensor * 0.9 for name, tensor in ((ema_name(name), tensor) for name, tensor in state.items()) if name} if ema else {}
    return {**state, **averages}


def sd2_state(*, seed: int = 0, dtype: str = "F32", channels: int = 4) -> State:
    """SD 2.x: linear projections, and OpenCLIP with one layer more than is used."""
    shape = Shape(**{**{name: getattr(TINY_SD2, name) for name in Shape.__dataclass_fields__}, "channels": channels})
    return state_of({**_unet(shape), **dict(vae(V, TINY)), **_open_clip("cond_stage_model.model.", 64, 3)}, seed=seed, dtype=dtype)


def sdxl_state(*, seed: int = 0, dtype: str = "F32", channels: int = 4) -> State:
    """SDXL: no attention on the first level, CLIP-L and OpenCLIP side by side, a pooled text and six sizes beside the time."""
    shape = Shape(**{**{name: getattr(TINY_SDXL, name) for name in Shape.__dataclass_fields__}, "channels": channels})
    texts = {**dict(clip("conditioner.embedders.0.transformer.", TINY)), **_open_clip("conditioner.embedders.1.model.", 128, 3)}
    return state_of({**_unet(shape), **dict(vae(V, TINY)), **texts}, seed=seed, dtype=dtype)


def refiner_state(*, seed: int = 0, dtype: str = "F32") -> State:
    """SDXL's refiner: OpenCLIP alone, five sizes."""
    texts = _open_clip("conditioner.embedders.0.model.", 128, 3)
    return state_of({**_unet(TINY_REFINER), **dict(vae(V, TINY)), **texts}, seed=seed, dtype=dtype)


def _unet(shape: Shape) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    row: Row
    for row in rows(shape):
        found[U + row[0]] = row[1]
    return found


def _open_clip(prefix: str, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, (_, shape) in open_clip(prefix, width, layers).items()} | {f"{prefix}logit_scale": ()}


def tiny_checkpoint(path: Path, *, seed: int = 0, dtype: str = "F32", ema: bool = False, metadata: dict[str, str] | None = None) -> Path:
    """An SD 1.x checkpoint of 36 MB in F32: UNet 64x4, VAE 32-32-64-64, CLIP 3x64."""
    return written(path, sd1_state(seed=seed, dtype=dtype, ema=ema), metadata)


def tiny_inpainting(path: Path, *, seed: int = 0, dtype: str = "F32") -> Path:
    """The same with the nine input channels of an inpainting model."""
    return written(path, sd1_state(seed=seed, dtype=dtype, latent_in=9))


def tiny_sd2(path: Path, *, seed: int = 0, dtype: str = "F32", metadata: dict[str, str] | None = None) -> Path:
    """An SD 2.x checkpoint; what it predicts cannot be told by its names."""
    return written(path, sd2_state(seed=seed, dtype=dtype), metadata)


def tiny_sdxl(path: Path, *, seed: int = 0, dtype: str = "F32", metadata: dict[str, str] | None = None) -> Path:
    """An SDXL checkpoint: context 64 + 128."""
    return written(path, sdxl_state(seed=seed, dtype=dtype), metadata)


def tiny_refiner(path: Path, *, seed: int = 0, dtype: str = "F32") -> Path:
    """A checkpoint of SDXL's refiner."""
    return written(path, refiner_state(seed=seed, dtype=dtype))


def tiny_vae(path: Path, *, seed: int = 1, dtype: str = "F32", prefix: str = "") -> Path:
    """An autoencoder alone, as VAE files hold it: without a prefix."""
    return written(path, state_of(dict(vae(prefix, TINY)), seed=seed, dtype=dtype))


def tiny_lora(path: Path, *, seed: int = 2, rank: int = 4, dtype: str = "F16", strength: float = 1.0) -> Path:
    """A kohya LoRA of every cross-attention of the tiny SD 1.x UNet (diffusers' names) and of the text encoder's attention."""
    modules = [f"lora_te_text_model_encoder_layers_{layer}_self_attn_{part}_proj" for layer in range(3) for part in "qkv"]
    places = [f"down_blocks_{level}_attentions_{number}" for level in range(3) for number in range(2)] + ["mid_block_attentions_0"]
    places += [f"up_blocks_{level}_attentions_{number}" for level in range(1, 4) for number in range(3)]
    modules += [f"lora_unet_{place}_transformer_blocks_0_attn2_to_{part}" for place in places for part in "qkv"]
    dice, state = np.random.default_rng(seed), {}
    for name in modules:
        for end, shape in (("down", (rank, 64)), ("up", (64, rank))):
            numbers = dice.standard_normal(shape, dtype=np.float32) * np.float32(strength / 8)
            state[f"{name}.lora_{end}.weight"] = torch.from_numpy(numbers).to(TYPES[dtype])
        state[f"{name}.alpha"] = torch.tensor(float(rank), dtype=TYPES[dtype])
    return written(path, state, {"ss_network_module": "networks.lora", "ss_network_dim": str(rank), "ss_base_model_version": "sd_v1"})
