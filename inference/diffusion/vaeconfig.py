"""The configuration of the autoencoder (kl-f8 and narrower kin), read off names and shapes. Free of torch; it reads no weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.formats.errors import FormatError

Shape = tuple[int, ...]

PREFIXES = ("first_stage_model.", "vae.", "")
"""Where ldm names of an autoencoder may lie: inside of a checkpoint, and in a file of its own with or without a prefix."""
MAX_CHANNELS = 4096
MAX_LEVELS, MAX_BLOCKS = 6, 8


def vae_prefix(shapes: Mapping[str, Shape]) -> str | None:
    """The prefix under which the file has an autoencoder, in ldm's or diffusers' names; None if it has none."""
    return next((prefix for prefix in PREFIXES if f"{prefix}decoder.conv_in.weight" in shapes), None)


def spelled_by_diffusers(shapes: Mapping[str, Shape], prefix: str) -> bool:
    """Whether the autoencoder has diffusers' names (`down_blocks`) and not ldm's (`down`)."""
    return f"{prefix}encoder.down_blocks.0.resnets.0.conv1.weight" in shapes


def vae_config(shapes: Mapping[str, Shape], prefix: str) -> dict[str, Any]:
    """Arguments of diffusers' `AutoencoderKL` without `scaling_factor` and `sample_size`.

    Groups of normalisation: 32 from 128 channels on, as published; narrower ones have groups of four channels. Raises `FormatError`
    "render:vae-layout".
    """
    block = "down_blocks.{}.resnets.{}" if spelled_by_diffusers(shapes, prefix) else "down.{}.block.{}"
    name = f"{prefix}encoder.{block}.conv1.weight"
    widths: list[int] = []
    while len(widths) < MAX_LEVELS and name.format(len(widths), 0) in shapes:
        widths.append(_dimension(shapes, name.format(len(widths), 0), 0))
    layers = sum(name.format(0, number) in shapes for number in range(MAX_BLOCKS))
    if not widths:
        raise FormatError("render:vae-layout", "The VAE has no encoder; only whole autoencoders are rendered with.")
    groups = max(1, min(32, widths[0] // 4))
    if any(width % groups for width in widths):
        raise FormatError("render:vae-layout", "The VAE's channels do not divide into groups.")
    return {
        "in_channels": _dimension(shapes, f"{prefix}encoder.conv_in.weight", 1),
        "out_channels": _dimension(shapes, f"{prefix}decoder.conv_out.weight", 0),
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "latent_channels": _dimension(shapes, f"{prefix}decoder.conv_in.weight", 1),
        "norm_num_groups": groups,
        "use_quant_conv": f"{prefix}quant_conv.weight" in shapes,
        "use_post_quant_conv": f"{prefix}post_quant_conv.weight" in shapes,
    }


def _dimension(shapes: Mapping[str, Shape], name: str, axis: int) -> int:
    shape = shapes.get(name, ())
    if axis >= len(shape) or not 0 < shape[axis] <= MAX_CHANNELS:
        raise FormatError("render:vae-layout", f"The VAE is not laid out as Stable Diffusion's: {name} is missing or has no such shape.")
    return shape[axis]
