"""A denoiser that needs no UNet, and k-diffusion's samplers as their papers state them: what schedulers are measured against."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

CONFIG = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}
SHAPE = (4, 8, 8)
MEAN, DEVIATION = 0.5, 0.7
"""Of the normal distribution that is "learned": its noise can be told exactly."""

Clean = Callable[[torch.Tensor, float], torch.Tensor]
Noise = Callable[[int, float, float], torch.Tensor]
"""Step and levels -> noise of deviation 1."""


def clean(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
    """The best guess at what x = clean + sigma * noise was, for clean values of that distribution."""
    return (noisy * DEVIATION**2 + MEAN * sigma**2) / (DEVIATION**2 + sigma**2)


def told_noise(table: np.ndarray, *, velocity: bool = False) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The same as a UNet says it: the noise (or velocity) in latents scaled to unit variance, at a time that may be a fraction."""

    def denoise(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        sigma = float(np.exp(np.interp(float(time), np.arange(len(table)), np.log(table))))
        noisy = latents * (1 + sigma**2) ** 0.5
        noise = (noisy - clean(noisy, sigma)) / sigma
        return (noise - sigma * clean(noisy, sigma)) / (1 + sigma**2) ** 0.5 if velocity else noise

    return denoise


def _slope(x: torch.Tensor, sigma: float) -> torch.Tensor:
    return (x - clean(x, sigma)) / sigma


def _parts(sigma: float, following: float) -> tuple[float, float]:
    """Down to where an ancestral step goes, and how much noise it adds (eta 1)."""
    up = min(following, (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5)
    return (following**2 - up**2) ** 0.5, up


def euler(x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    for sigma, following in pairwise(sigmas):
        x = x + _slope(x, sigma) * (following - sigma)
    return x


def euler_ancestral(x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    for step, (sigma, following) in enumerate(pairwise(sigmas)):
        down, up = _parts(sigma, following)
        x = x + _slope(x, sigma) * (down - sigma)
        x = x + noise(step, sigma, following) * up if following else x
    return x


def heun(x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    for sigma, following in pairwise(sigmas):
        slope = _slope(x, sigma)
        there = x + slope * (following - sigma)
        x = x + (slope + _slope(there, following)) / 2 * (following - sigma) if following else there
    return x


def dpm2(x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    for sigma, following in pairwise(sigmas):
        slope = _slope(x, sigma)
        if not following:
            x = x + slope * (following - sigma)
            continue
        middle = (sigma * following) ** 0.5
        x = x + _slope(x + slope * (middle - sigma), middle) * (following - sigma)
    return x


def dpmpp_2m(x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    before: torch.Tensor | None = None
    wide = 0.0
    for sigma, following in pairwise(sigmas):
        guess = clean(x, sigma)
        if not following:
            return guess
        step = float(np.log(sigma / following))
        bent = guess if before is None else guess + (guess - before) * step / (2 * wide)
        x = x * following / sigma - float(np.expm1(-step)) * bent
        before, wide = guess, step
    return x


def dpmpp_2m_sde(x: torch.Tensor, sigmas: list[float], noise: Noise, *, bend: str = "midpoint") -> torch.Tensor:
    before: torch.Tensor | None = None
    wide = 0.0
    for place, (sigma, following) in enumerate(pairwise(sigmas)):
        guess = clean(x, sigma)
        if not following:
            return guess
        step = float(np.log(sigma / following))
        moved = -float(np.expm1(-2 * step))
        x = x * (following / sigma) * float(np.exp(-step)) + moved * guess
        if before is not None:
            much = moved / 2 if bend == "midpoint" else 1 - moved / (2 * step)
            x = x + much * (step / wide) * (guess - before)
        x = x + noise(place, sigma, following) * following * moved**0.5
        before, wide = guess, step
    return x


def dpmpp_2m_sde_heun(x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    return dpmpp_2m_sde(x, sigmas, noise, bend="heun")


def dpmpp_3m_sde(x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    guesses: list[torch.Tensor] = []
    spans: list[float] = []
    for place, (sigma, following) in enumerate(pairwise(sigmas)):
        guesses.append(clean(x, sigma))
        if not following:
            return guesses[-1]
        spans.append(float(np.log(sigma / following)))
        twice = 2 * spans[-1]
        x = x * float(np.exp(-twice)) - float(np.expm1(-twice)) * guesses[-1]
        second = float(np.expm1(-twice)) / twice + 1
        if len(guesses) == 2:
            x = x + second * (guesses[-1] - guesses[-2]) * spans[-1] / spans[-2]
        elif len(guesses) > 2:
            near, far = spans[-2] / spans[-1], spans[-3] / spans[-1]
            slopes = (guesses[-1] - guesses[-2]) / near, (guesses[-2] - guesses[-3]) / far
            bend = (slopes[0] - slopes[1]) / (near + far)
            x = x + second * (slopes[0] + bend * near) - (second / twice - 0.5) * bend
        x = x + noise(place, sigma, following) * following * (-float(np.expm1(-twice))) ** 0.5
    return x


def dpmpp_sde(x: torch.Tensor, sigmas: list[float], noise: Noise) -> torch.Tensor:
    for place, (sigma, following) in enumerate(pairwise(sigmas)):
        if not following:
            return x + _slope(x, sigma) * (following - sigma)
        guess, middle = clean(x, sigma), (sigma * following) ** 0.5
        for until in (middle, following):
            down, up = _parts(sigma, until)
            there = down / sigma * x + (1 - down / sigma) * guess + noise(place, sigma, until) * up
            guess = clean(there, middle)
        x = there
    return x
