"""From noise to latents: runs a scheduler over a denoiser for a batch of pictures. Knows no prompts, no model and no pixels.

Every picture has its own noise, drawn on the CPU from its own seed, first and between the steps alike: what a picture becomes depends
neither on its neighbours in the batch nor on the device that draws. Latents stay in float32 whatever the model computes in.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

from inference.diffusion.schedulers import Run, numpy_quiet

Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Scaled latents and the time (a tensor of one number) -> what the model predicts (noise or velocity), after guidance, in float32."""

MARGIN = 1e-3
"""By how much a Brownian path reaches beyond the run's levels: torchsde rounds its ends to six places and warns of what lies outside."""


class Cancelled(Exception):
    """Somebody wants no more of it. Raised between two steps."""


class PictureNoise:
    """The noise of a batch: one generator per seed. `shape` is that of one picture's latents, without the batch."""

    def __init__(self, seeds: Sequence[int], shape: Sequence[int], device: torch.device | str) -> None:
        self.seeds, self.shape, self.device = list(seeds), tuple(shape), torch.device(device)
        self.generators = [torch.Generator("cpu").manual_seed(seed) for seed in self.seeds]

    def first(self) -> torch.Tensor:
        """What a run starts from, of deviation 1: for a seed the same numbers as A1111's with its RNG set to CPU."""
        drawn = [torch.randn(self.shape, generator=generator, dtype=torch.float32) for generator in self.generators]
        return torch.stack(drawn).to(self.device)

    def path(self, low: float, high: float) -> Callable[[float, float], torch.Tensor]:
        """Noise between two levels along one Brownian path per picture, as k-diffusion's SDE samplers draw it."""
        zeros = torch.zeros(len(self.seeds), *self.shape)
        tree = BrownianTreeNoiseSampler(zeros, low * (1 - MARGIN), high * (1 + MARGIN), self.seeds) if high > low else None

        def between(sigma: float, following: float) -> torch.Tensor:
            if tree is None or float(following) <= 0:
                return torch.zeros(len(self.seeds), *self.shape, device=self.device)
            drawn: torch.Tensor = tree(float(sigma), float(following))
            return drawn.to(self.device)

        return between


def sample(
    denoise: Denoiser,
    run: Run,
    noise: PictureNoise,
    *,
    done: Callable[[int], None] = lambda step: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> torch.Tensor:
    """The latents of the batch after all steps, float32. `done` hears each finished step, from 1; `cancelled` is asked before each call.

    Raises Cancelled. A scheduler that calls the UNet twice a step counts both as one. Where every picture of the batch has stopped being
    numbers (NaN, infinity) no further step is taken.
    """
    return Walk(run, noise).go(denoise, done=done, cancelled=cancelled)


class Walk:
    """A batch on its way from noise to latents. It holds no denoiser: one model may begin the way and another end it."""

    def __init__(self, run: Run, noise: PictureNoise) -> None:
        self.latents = noise.first() * run.noise_scale
        self._run = run
        self._between = noise.path(run.low, run.high) if run.brownian else None
        self._extra = _extra(run.scheduler, noise, self._between)
        self._call, self._told = 0, 0

    def go(
        self,
        denoise: Denoiser,
        *,
        below: float | None = None,
        done: Callable[[int], None] = lambda step: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> torch.Tensor:
        """The latents after all steps that are left, or after those that come before training step `below`; `done` and `cancelled` as
        `sample` has them. Raises Cancelled.
        """
        calls = len(self._run.scheduler.timesteps)
        last = calls if below is None else self._first_below(below)
        while self._call < last and torch.isfinite(self.latents).flatten(1).all(1).any():
            if cancelled():
                raise Cancelled
            self._step(denoise)
            self._call += 1
            step = self._call * self._run.steps // calls
            if step > self._told:
                self._told = step
                done(step)
        return self.latents

    def _step(self, denoise: Denoiser) -> None:
        scheduler, call = self._run.scheduler, self._call
        time = scheduler.timesteps[call]
        if self._between and "variance_noise" in self._extra:
            self._extra["variance_noise"] = self._between(float(scheduler.sigmas[call]), float(scheduler.sigmas[call + 1]))
        predicted = denoise(scheduler.scale_model_input(self.latents, time), time)
        with numpy_quiet():
            self.latents = scheduler.step(predicted, time, self.latents, return_dict=False, **self._extra)[0]

    def _first_below(self, time: float) -> int:
        """The first call of the first step below a training step; where none is, of the last: whoever goes on has one to take."""
        times = [float(one) for one in self._run.scheduler.timesteps]
        each = -(-len(times) // self._run.steps)  # Heun and DPM2 call twice a step, but for the last
        starts = range(0, len(times), each)
        return next((start for start in starts if times[start] < time), starts[-1])


def _extra(scheduler: Any, noise: PictureNoise, between: Callable[[float, float], torch.Tensor] | None) -> dict[str, Any]:
    """What this scheduler's step takes beside prediction, time and latents: where its noise comes from."""
    takes = inspect.signature(scheduler.step).parameters
    if between is None:
        return {"generator": noise.generators} if "generator" in takes else {}
    if "variance_noise" in takes:
        return {"variance_noise": None}
    scheduler.noise_sampler = between
    return {}
