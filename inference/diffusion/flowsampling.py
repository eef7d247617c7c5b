"""SD 3's and Flux' transformers as a sampler calls them, and the steps of flow matching. Draws no noise; `sampling` runs the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

from inference.diffusion.conditioning import Encoded
from inference.diffusion.flowfamilies import FLUX, SD3
from inference.diffusion.guidance import FACTOR
from inference.diffusion.jobs import Shot
from inference.diffusion.loading import Model
from inference.diffusion.schedulers import Run
from registry.formats.errors import FormatError, LimitExceeded

SIDE = 16
"""Pixels of a side per token: 2 latents of 8 pixels."""
SHIFTS, TOKENS = (0.5, 1.15), (256, 4096)
"""By how much Flux' noise levels are moved up (in logarithms) for pictures of so many tokens; in proportion between (flux/sampling.py)."""
NO_SAMPLERS = "Models trained by flow matching have steps of their own: Euler's steps were taken, whatever the sampler and its schedule."
DISTILLED = "Flux was trained with guidance inside: CFG is told to the model, and the negative prompt is not used."
FAST = "Flux schnell knows no guidance: CFG and the negative prompt are not used."
WITHOUT_T5 = "Rendered without T5, which this hub does not have: SD 3 heard the prompt by CLIP alone."


class _Euler(FlowMatchEulerDiscreteScheduler):
    """Flow matching takes latents as they are."""

    def scale_model_input(self, latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return latents


def check_flow_shot(model: Model, shot: Shot) -> None:
    """Raises FormatError "render:size" for sides that the model has no places for, before anything is sampled."""
    if shot.width % SIDE or shot.height % SIDE:
        raise FormatError("render:size", f"Pictures of SD 3 and Flux have sides of multiples of {SIDE} pixels.")
    most = int(model.architecture.unet.get("pos_embed_max_size", 0)) * FACTOR * int(model.architecture.unet["patch_size"])
    if most and max(shot.width, shot.height) > most:
        raise LimitExceeded("render:size", f"This model makes pictures of at most {most:,} pixels a side.")


def flow_notes(model: Model) -> list[str]:
    """What will not be as somebody may expect it."""
    if model.architecture.family == SD3:
        return [NO_SAMPLERS, *([] if model.t5 else [WITHOUT_T5])]
    return [NO_SAMPLERS, DISTILLED if model.architecture.unet["guidance_embeds"] else FAST]


def flow_run(model: Model, shot: Shot) -> Run:
    """The steps of one batch: SD 3 moves its noise levels up by a fixed shift, Flux dev by the picture's size, Flux schnell not at all."""
    config = dict(model.scheduler_config)
    if model.architecture.family == SD3:
        scheduler = _Euler(**config)
        scheduler.set_timesteps(shot.steps, device=model.device)
    else:
        guided = bool(model.architecture.unet["guidance_embeds"])
        scheduler = _Euler(**config, shift=1.0, use_dynamic_shifting=guided)
        sigmas = np.linspace(1.0, 1 / shot.steps, shot.steps).tolist()
        scheduler.set_timesteps(sigmas=sigmas, device=model.device, mu=_shift(shot) if guided else None)
    return Run(scheduler, shot.steps, 1.0, False, 0.0, 1.0)


def _shift(shot: Shot) -> float:
    tokens = (shot.width // SIDE) * (shot.height // SIDE)
    return SHIFTS[0] + (SHIFTS[1] - SHIFTS[0]) * (tokens - TOKENS[0]) / (TOKENS[1] - TOKENS[0])


class FlowGuided:
    """A denoiser for one batch, `positives` and `negatives` by picture: what it predicts is the velocity from picture to noise.

    SD 3 is guided as other models are, by a second call without the text (both in one where they are of one length); Flux is not.
    """

    def __init__(self, model: Model, positives: Sequence[Encoded], negatives: Sequence[Encoded], cfg_scale: float) -> None:
        self._model, self._cfg_scale = model, cfg_scale
        self._wanted = _texts(model, positives)
        self._unwanted = _texts(model, negatives) if negatives and model.architecture.family == SD3 else None

    def __call__(self, latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        if self._model.architecture.family == FLUX:
            return self._flux(latents, time)
        if self._unwanted is None:
            return self._sd3(latents, time, self._wanted)
        if self._unwanted[0].shape == self._wanted[0].shape:
            both = (torch.cat([self._unwanted[0], self._wanted[0]]), torch.cat([self._unwanted[1], self._wanted[1]]))
            unwanted, wanted = self._sd3(torch.cat([latents, latents]), time, both).chunk(2)
        else:
            unwanted, wanted = self._sd3(latents, time, self._unwanted), self._sd3(latents, time, self._wanted)
        return unwanted + self._cfg_scale * (wanted - unwanted)

    def _sd3(self, latents: torch.Tensor, time: torch.Tensor, texts: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        transformer: Any = self._model.unet
        found = transformer(
            hidden_states=latents.to(self._model.dtype),
            timestep=time.expand(len(latents)),
            encoder_hidden_states=texts[0],
            pooled_projections=texts[1],
            return_dict=False,
        )[0]
        return torch.as_tensor(found).float()

    def _flux(self, latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        transformer: Any = self._model.unet
        count, _, height, width = latents.shape
        context, pooled = self._wanted
        guided = self._model.architecture.unet["guidance_embeds"]
        found = transformer(
            hidden_states=packed(latents).to(self._model.dtype),
            timestep=time.expand(count) / 1000,
            guidance=torch.full((count,), float(self._cfg_scale), device=latents.device) if guided else None,
            encoder_hidden_states=context,
            pooled_projections=pooled,
            txt_ids=torch.zeros(context.shape[1], 3, device=latents.device),
            img_ids=_places(height // 2, width // 2, latents.device),
            return_dict=False,
        )[0]
        return unpacked(torch.as_tensor(found).float(), height, width)


def _texts(model: Model, encoded: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    context = torch.stack([one.context for one in encoded]).to(model.dtype)
    return context, torch.stack([one.pooled for one in encoded if one.pooled is not None]).to(model.dtype)


def packed(latents: torch.Tensor) -> torch.Tensor:
    """[n, c, h, w] -> [n, h/2 * w/2, c * 4]: a token is a square of two by two latents."""
    count, channels, height, width = latents.shape
    squares = latents.reshape(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return squares.reshape(count, (height // 2) * (width // 2), channels * 4)


def unpacked(tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The way back from `packed`; `height` and `width` are those of the latents."""
    count, _, four = tokens.shape
    squares = tokens.reshape(count, height // 2, width // 2, four // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return squares.reshape(count, four // 4, height, width)


def _places(height: int, width: int, device: torch.device) -> torch.Tensor:
    """[h * w, 3]: nothing, row and column of each token."""
    rows, columns = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3).float()
