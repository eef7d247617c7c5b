"""Pictures from the networks of this folder, to look at while training: DPM++ 2M with Karras' schedule, as the recipe of the samples says.

The hub renders with `inference/diffusion` instead.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samples.training import words
from samples.training.autoencoder import SCALE, Autoencoder
from samples.training.textencoder import TextEncoder
from samples.training.unet import UNet


@torch.no_grad()
def render(
    unet: UNet, text: TextEncoder, autoencoder: Autoencoder, prompts: list[str], *, seed: int = 1, steps: int = 20, scale: float = 5.0
) -> NDArray[np.uint8]:
    """One picture a prompt, [N,128,128,3]; picture n starts from seed + n."""
    from diffusers import DPMSolverMultistepScheduler

    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    schedule = DPMSolverMultistepScheduler(num_train_timesteps=1000, use_karras_sigmas=True, **betas)
    schedule.set_timesteps(steps)
    context = text(torch.tensor([words.rows(prompt, text.added) for prompt in prompts] + [words.rows("")] * len(prompts)))
    dice = [torch.Generator().manual_seed(seed + number) for number in range(len(prompts))]
    x = torch.stack([torch.randn(4, 16, 16, generator=one) for one in dice]) * schedule.init_noise_sigma
    for step in schedule.timesteps:
        told, plain = unet(torch.cat([x, x]), step.expand(2 * len(x)), context).chunk(2)
        x = schedule.step(plain + scale * (told - plain), step, x).prev_sample
    return _bytes(autoencoder.decode(x / SCALE))


def _bytes(pictures: Tensor) -> NDArray[np.uint8]:
    return ((pictures.clamp(-1, 1) + 1) * 127.5 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).numpy()
