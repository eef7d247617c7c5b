"""Add-ons made to measure for a checkpoint: LoRAs of its own cross-attention, in kohya's names."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load, save

UNET = "model.diffusion_model."


def lora_for(checkpoint: bytes, rank: int = 2) -> bytes:
    """A LoRA that adapts the keys of every cross-attention of a single-file checkpoint, all of which fit."""
    tensors = {}
    for name, weight in load(checkpoint).items():
        if name.startswith(UNET) and name.endswith("attn2.to_k.weight"):
            module = f"lora_unet_{name.removeprefix(UNET).removesuffix('.weight').replace('.', '_')}"
            tensors[f"{module}.lora_down.weight"] = np.zeros((rank, weight.shape[1]), np.float16)
            tensors[f"{module}.lora_up.weight"] = np.zeros((weight.shape[0], rank), np.float16)
    return save(tensors)
