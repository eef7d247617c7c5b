"""The UNet as a sampler calls it: text and picture conditioning, classifier-free guidance. Holds no schedule and draws no noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from inference.diffusion.conditioning import Encoded
from inference.diffusion.loading import Model

RESCALE = 0.7
"""Of guidance for models whose noise schedule ends in pure noise (Lin et al. 2024, "Common Diffusion Noise Schedules", section 3.4)."""
AESTHETIC = (6.0, 2.5)
"""What SDXL's refiner is told about the picture and about what it should not be (Stability AI's generative-models)."""
INPAINTING, PIX2PIX = 9, 8
"""Input channels of UNets that see a picture beside the latents."""
FACTOR = 8
"""Pixels of a side per latent, in every family that is rendered here."""
_Texts = tuple[torch.Tensor, dict[str, torch.Tensor]]
"""Contexts [n, tokens, width], and what else the UNet is told."""


class Guided:
    """A denoiser for one batch: `positives` and `negatives` by picture, all positives of one length and all negatives of one.

    `cfg_scale` 1 or less asks for no negatives: one call of half the size. Pixels tell SDXL which size it paints.
    """

    def __init__(
        self, model: Model, positives: Sequence[Encoded], negatives: Sequence[Encoded], cfg_scale: float, width: int, height: int
    ) -> None:
        self._model, self._cfg_scale, self._size = model, cfg_scale, (height, width)
        self._beside = beside_latents(model, height // FACTOR, width // FACTOR)
        self._wanted = self._texts(positives, AESTHETIC[0])
        self._unwanted = self._texts(negatives, AESTHETIC[1]) if cfg_scale > 1 else None
        self._both = None
        if self._unwanted and self._unwanted[0].shape[1] == self._wanted[0].shape[1]:
            self._both = _stacked(self._unwanted, self._wanted)

    def __call__(self, latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        if self._unwanted is None:
            return self._call(latents, time, self._wanted)
        if self._both is not None:
            unwanted, wanted = self._call(torch.cat([latents, latents]), time, self._both).chunk(2)
        else:  # texts of different length: A1111 also calls twice then, rather than pad one
            unwanted, wanted = self._call(latents, time, self._unwanted), self._call(latents, time, self._wanted)
        guided = unwanted + self._cfg_scale * (wanted - unwanted)
        return _rescaled(guided, wanted) if self._model.scheduler_config.get("rescale_betas_zero_snr") else guided

    def _call(self, latents: torch.Tensor, time: torch.Tensor, texts: _Texts) -> torch.Tensor:
        context, added = texts
        if self._beside is not None:
            latents = torch.cat([latents, self._beside.expand(len(latents), -1, -1, -1)], dim=1)
        if latents.device.type == "cuda":
            latents = latents.contiguous(memory_format=torch.channels_last)
        unet: Any = self._model.fast or self._model.unet
        found = unet(latents.to(self._model.dtype), time, encoder_hidden_states=context, added_cond_kwargs=added, return_dict=False)[0]
        return torch.as_tensor(found).float()

    def _texts(self, encoded: Sequence[Encoded], aesthetic: float) -> _Texts:
        context = torch.stack([one.context for one in encoded]).to(self._model.dtype)
        if not self._model.architecture.is_sdxl:
            return context, {}
        sizes: list[float] = [*self._size, 0, 0, *self._size]
        if self._model.architecture.family == "sdxl-refiner":
            sizes = [*self._size, 0, 0, aesthetic]
        pooled = torch.stack([one.pooled for one in encoded if one.pooled is not None]).to(self._model.dtype)
        ids = torch.tensor([sizes] * len(encoded), device=context.device, dtype=self._model.dtype)
        return context, {"text_embeds": pooled, "time_ids": ids}


def _stacked(first: _Texts, second: _Texts) -> _Texts:
    return torch.cat([first[0], second[0]]), {key: torch.cat([value, second[1][key]]) for key, value in first[1].items()}


def _rescaled(guided: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Guidance that does not overexpose: the deviation of the text's own prediction, mixed in by `RESCALE`."""
    places = tuple(range(1, guided.ndim))
    share = wanted.std(dim=places, keepdim=True) / guided.std(dim=places, keepdim=True).clamp(min=1e-12)
    return guided * (RESCALE * share + 1 - RESCALE)


def beside_latents(model: Model, height: int, width: int) -> torch.Tensor | None:
    """What stands in for a picture where a UNet wants one: for inpainting a mask over everything and grey under it, as A1111 does for
    txt2img; for instruct-pix2pix zeros, its own word for no picture. `height` and `width` are those of the latents.
    """
    channels = int(model.architecture.unet["in_channels"])
    if channels == INPAINTING:
        grey = torch.zeros(1, 3, height * FACTOR, width * FACTOR, device=model.device, dtype=model.vae.dtype)
        latents: torch.Tensor = model.vae.encode(grey).latent_dist.mode() * model.architecture.vae_scale
        return torch.cat([torch.ones_like(latents[:, :1]), latents], dim=1).float()
    if channels == PIX2PIX:
        return torch.zeros(1, PIX2PIX - 4, height, width, device=model.device)
    return None
