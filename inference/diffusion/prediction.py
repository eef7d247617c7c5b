"""Finds out what an SD 2 model predicts by asking it once; what files say about it is read in `families`. It changes nothing.

At the last time step the input is all noise: a model of noise gives its input back, one of velocity gives a picture's negative.
"""

from __future__ import annotations

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from inference.diffusion.families import EPSILON, VELOCITY
from inference.diffusion.textencoder import TextEncoder

LAST_STEP = 999
SIDE = 16
"""Latents; small, for a CPU asks this of models with 860 million weights."""
ALIKE = 0.5
"""Cosine between input and answer above which the answer is the noise: it is near 1 for noise and near 0 for velocity."""


@torch.inference_mode()
def probe(unet: UNet2DConditionModel, encoder: TextEncoder) -> str:
    """ "epsilon" or "v_prediction", from one call of the UNet on fixed noise and an empty text."""
    weight = unet.conv_in.weight
    noise = torch.randn((1, weight.shape[1], SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([encoder.tokenizer.framed([])], device=weight.device)
    text = encoder.model(input_ids=tokens).last_hidden_state.to(weight.dtype)
    given = noise.to(weight.device, weight.dtype)
    answer = unet(given, torch.tensor(LAST_STEP, device=weight.device), encoder_hidden_states=text, return_dict=False)[0].float()
    return EPSILON if _cosine(answer, given[:, : answer.shape[1]].float()) > ALIKE else VELOCITY


def _cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0))
