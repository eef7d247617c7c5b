"""From latents to pictures: the autoencoder's decoder, what came out of it, and the PNG. It samples nothing and writes no text."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image

TILED_ABOVE = 1024
"""Pixels of the longer side above which the decoder works in tiles: its memory grows with the area, and no family's own size is larger."""
PIXELS_AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 20}
"""Of all pictures that are decoded together. The decoder is the peak of a render's memory, and gains little from company."""
QUICK = 1
"""zlib's fastest level: pictures are packed while the device waits."""
LEVELS_APART = 1
"""A picture whose channels each vary by no more than this many of 256 levels shows nothing."""

NAN = ("render:nan", "The model computed no numbers (NaN): its weights are damaged, or overflow in half precision.")
BLACK = ("render:black", "The picture came out in one colour: the weights are damaged, or do not fit each other.")


@dataclass(frozen=True, slots=True)
class Developed:
    """One picture as a PNG without text, or why it is none: a code and a sentence."""

    width: int = 0
    height: int = 0
    png: bytes = b""
    code: str = ""
    sentence: str = ""


def develop(vae: AutoencoderKL, latents: torch.Tensor, note: Callable[[str], None]) -> Iterator[Developed]:
    """Each picture of `latents` [n, 4, h, w] in turn. An autoencoder that overflows in half precision is kept in float32 from then on,
    and `note` hears of it.
    """
    config: Any = vae.config
    factor = 2 ** (len(config.block_out_channels) - 1)
    pixels = latents.shape[-1] * latents.shape[-2] * factor**2
    vae.use_tiling = max(latents.shape[-2:]) * factor > TILED_ABOVE
    at_once = max(1, PIXELS_AT_ONCE[latents.device.type] // pixels)
    for few in torch.split(latents, at_once):
        if not torch.isfinite(few).flatten(1).all(1).any():  # nothing can come of them
            yield from (Developed(code=NAN[0], sentence=NAN[1]) for _ in few)
            continue
        yield from (_developed(picture, one) for picture, one in zip(_decoded(vae, few, note), few, strict=True))


def _decoded(vae: AutoencoderKL, latents: torch.Tensor, note: Callable[[str], None]) -> torch.Tensor:
    """Pictures [n, 3, H, W] from -1 to 1 on the CPU, float32."""
    pictures = _decode(vae, latents)
    overflown = not torch.isfinite(pictures).all() and bool(torch.isfinite(latents).all())
    if overflown and vae.dtype != torch.float32:
        note(f"The VAE overflows in {str(vae.dtype).removeprefix('torch.')}: it is used in float32.")
        torch.nn.Module.to(vae, torch.float32)  # diffusers' own `to` is the same with a warning about dtypes
        pictures = _decode(vae, latents)
    return pictures


def _decode(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    config: Any = vae.config
    scaled = latents / config.scaling_factor
    if config.shift_factor:
        scaled = scaled + config.shift_factor
    scaled = scaled.to(vae.dtype)
    decoded: torch.Tensor = vae.decode(scaled, return_dict=False)[0]
    return decoded.float().cpu()


def _developed(picture: torch.Tensor, latents: torch.Tensor) -> Developed:
    if not torch.isfinite(latents).all() or not torch.isfinite(picture).all():
        return Developed(code=NAN[0], sentence=NAN[1])
    levels = ((picture / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    if int((levels.max((0, 1)).astype(int) - levels.min((0, 1))).max()) <= LEVELS_APART:
        return Developed(code=BLACK[0], sentence=BLACK[1])
    return Developed(levels.shape[1], levels.shape[0], png(levels))


def png(levels: NDArray[np.uint8]) -> bytes:
    """[H, W, 3] as a PNG without text chunks."""
    packed = io.BytesIO()
    Image.fromarray(levels, "RGB").save(packed, "PNG", compress_level=QUICK)
    return packed.getvalue()
