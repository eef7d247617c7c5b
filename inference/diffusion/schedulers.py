"""A1111's samplers as diffusers' schedulers, over the noise levels that A1111 would use. Builds them; `sampling` runs them.

Each is made from the model's own noise table and prediction type, never from the class's defaults. The levels come from `noiselevels`
and are handed in where a scheduler asks for Karras levels; times stay fractions, as k-diffusion leaves them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import diffusers
import numpy as np
import torch

from inference.diffusion import noiselevels
from inference.diffusion.noiselevels import Levels
from inference.diffusion.samplernames import resolve

KEPT = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type", "rescale_betas_zero_snr")
"""What a model says of its training; how steps are spread is the schedule's business."""
LAST_ALPHA = 2.0**-24
"""In place of the zero at the end of a table rescaled to zero SNR, which has no logarithm: the value of diffusers' Euler scheduler."""
LCM_STEPS = 50
"""Training steps of a consistency model, of which a run takes some (Luo et al. 2023)."""


@dataclass(frozen=True, slots=True)
class _Build:
    """A scheduler's class, its options, and how it is fed. `brownian`: its noise comes from one path per picture.

    `less_one`: A1111 leaves out the level before the last zero. `own`: it lays out its own steps. `open_end`: its steps end at the lowest
    level instead of zero, where its formulas have a pole.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    brownian: bool = False
    less_one: bool = False
    own: bool = False
    open_end: bool = False


_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}
_LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
_PLMS = _Build("PNDMScheduler", {"skip_prk_steps": True, **_LEADING}, own=True)
_DDIM = _Build("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False, **_LEADING}, own=True)
_SINGLE = {"algorithm_type": "dpmsolver++", "lower_order_final": True}
_BUILDS = {
    "Euler": _Build("EulerDiscreteScheduler"),
    "Euler a": _Build("EulerAncestralDiscreteScheduler"),
    "LMS": _Build("LMSDiscreteScheduler"),
    "Heun": _Build("HeunDiscreteScheduler"),
    "DPM2": _Build("KDPM2DiscreteScheduler", less_one=True),
    "DPM2 a": _Build("KDPM2AncestralDiscreteScheduler", less_one=True),
    "DPM++ 2M": _Build("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "DPM++ 2M SDE": _Build("DPMSolverMultistepScheduler", _SDE, brownian=True),
    "DPM++ 2M SDE Heun": _Build("DPMSolverMultistepScheduler", {**_SDE, "solver_type": "heun"}, brownian=True),
    "DPM++ 3M SDE": _Build(
        "DPMSolverMultistepScheduler",
        {**_SDE, "solver_order": 3, "solver_type": "heun", "lower_order_final": False},
        brownian=True,
        less_one=True,
    ),
    "DPM++ SDE": _Build("DPMSolverSDEScheduler", brownian=True),
    "DPM++ 2S a": _Build("DPMSolverSinglestepScheduler", {**_SINGLE, "solver_order": 2}),
    "DPM fast": _Build("DPMSolverSinglestepScheduler", {**_SINGLE, "solver_order": 3}),
    "DPM adaptive": _Build("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "Restart": _Build("EulerDiscreteScheduler"),
    "DDIM": _DDIM,
    "DDIM CFG++": _DDIM,
    "PLMS": _PLMS,
    "UniPC": _Build("UniPCMultistepScheduler", {"solver_order": 3, "solver_type": "bh2"}, own=True),
    "LCM": _Build("LCMScheduler", {**_LEADING, "set_alpha_to_one": True}, own=True),
    "TCD": _Build("TCDScheduler", {**_LEADING, "set_alpha_to_one": True}, own=True),
    "DDPM": _Build("DDPMScheduler", {"clip_sample": False, **_LEADING}, own=True),
    "DEIS": _Build("DEISMultistepScheduler", open_end=True),
    "HeunPP2": _Build("HeunDiscreteScheduler"),
    "IPNDM": _PLMS,
    "IPNDM_V": _PLMS,
}


@dataclass(slots=True)
class Run:
    """A scheduler with its steps laid out. `noise_scale`: what pure noise of deviation 1 is multiplied by to begin with.

    `brownian`: noise between the steps comes from one Brownian path per picture, from `low` to `high`.
    """

    scheduler: Any
    steps: int
    noise_scale: float
    brownian: bool
    low: float
    high: float


def build(sampler: str, schedule: str, steps: int, config: Mapping[str, Any], *, sdxl: bool = False, device: str = "cpu") -> Run:
    """The scheduler of a run of `steps` steps over the model's `config` (betas, prediction type).

    Raises FormatError for unknown names. A scheduler is used for one batch and then thrown away: it keeps what it saw.
    """
    choice = resolve(sampler, schedule)
    made = _BUILDS[choice.sampler]
    kept = {key: value for key, value in config.items() if key in KEPT}
    with numpy_quiet():
        if made.own:
            return _own(made, steps, kept, device)
        return _over_levels(made, choice.schedule, steps, kept, sdxl=sdxl, device=device)


@contextmanager
def numpy_quiet() -> Iterator[None]:
    """diffusers makes arrays of tensors in a way that numpy 2.4 warns of, in nearly every scheduler; nothing comes of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array", DeprecationWarning)
        yield


def _class(name: str) -> Any:
    return getattr(diffusers, name)


def training_levels(config: Mapping[str, Any]) -> Levels:
    """Noise levels of the model's training steps, ascending: sqrt((1 - a) / a) of its cumulated alphas."""
    alphas = _alphas(config).double().numpy()
    return np.asarray(np.sqrt((1 - alphas) / alphas))


def _alphas(config: Mapping[str, Any]) -> torch.Tensor:
    plain = {key: value for key, value in config.items() if key in KEPT}
    alphas: torch.Tensor = _class("DDPMScheduler").from_config({"clip_sample": False, **plain}).alphas_cumprod
    return torch.cat([alphas[:-1], alphas[-1:].clamp(min=LAST_ALPHA)])


def _own(made: _Build, steps: int, config: dict[str, Any], device: str) -> Run:
    options = dict(made.options)
    if config.get("rescale_betas_zero_snr") and "timestep_spacing" in options:
        options |= {"timestep_spacing": "trailing"}  # only so does a run begin where all is noise, which is the point of zero SNR
    if made.name in ("LCMScheduler", "TCDScheduler"):
        options["original_inference_steps"] = max(LCM_STEPS, steps)
    scheduler = _class(made.name).from_config({**config, **options})
    scheduler.set_timesteps(steps, device=device)
    return Run(scheduler, steps, 1.0, made.brownian, 0.0, 0.0)


class _OverLevels:
    """What every scheduler over noise levels is given: the levels of A1111's schedule, and times between training steps.

    Stands before a scheduler's class: diffusers' own way from a level to its time takes milliseconds for each of a thousand levels.
    """

    levels: Levels | None = None

    def _convert_to_karras(self, in_sigmas: Any, num_inference_steps: int | None = None) -> Any:
        return in_sigmas if self.levels is None else self.levels.copy()

    def _sigma_to_t(self, sigma: Any, log_sigmas: Any) -> Any:
        return np.interp(math.log(max(float(sigma), 1e-10)), np.asarray(log_sigmas), np.arange(len(log_sigmas)))


class _ThirdOrder:
    """The third-order step of the SDE as k-diffusion takes it: where its formula adds phi + 1/2 times the second difference, diffusers 0.42
    adds phi - 1/2 times it, so one such difference is missing.
    """

    def multistep_dpm_solver_third_order_update(self, model_output_list: Any, *given: Any, **more: Any) -> Any:
        stepped = super().multistep_dpm_solver_third_order_update(model_output_list, *given, **more)  # type: ignore[misc]
        at, sigmas = self.step_index, self.sigmas  # type: ignore[attr-defined]
        spans = [math.log(sigmas[at - back] / sigmas[at + 1 - back]) for back in range(3)]
        now, before, earlier = model_output_list[-1], model_output_list[-2], model_output_list[-3]
        bend = ((now - before) / spans[1] - (before - earlier) / spans[2]) * spans[0] ** 2 / (spans[1] + spans[2])
        return stepped + bend / math.sqrt(1 + float(sigmas[at + 1]) ** 2)


@cache
def _class_over_levels(name: str, order: int) -> Any:
    mixed = (_ThirdOrder, _OverLevels) if order == 3 and name == "DPMSolverMultistepScheduler" else (_OverLevels,)
    return type(name, (*mixed, _class(name)), {})


def _over_levels(made: _Build, schedule: str, steps: int, config: dict[str, Any], *, sdxl: bool, device: str) -> Run:
    table = training_levels(config)
    sigmas = noiselevels.levels(schedule, steps + (made.less_one or made.open_end), table, sdxl=sdxl)
    ended = sigmas if made.open_end else np.append(sigmas[:steps], 0.0)
    options = {**made.options, "timestep_spacing": "linspace", "use_karras_sigmas": True, "rescale_betas_zero_snr": False}
    scheduler = _class_over_levels(made.name, made.options.get("solver_order", 0)).from_config({**config, **options})
    scheduler.alphas_cumprod, scheduler.levels = _alphas(config), sigmas[:steps]
    scheduler.set_timesteps(steps, device=device)
    times = torch.from_numpy(noiselevels.times_of(sigmas[:steps], table).astype(np.float32)).to(device)
    if len(scheduler.timesteps) == steps:
        scheduler.sigmas, scheduler.timesteps = torch.from_numpy(ended.astype(np.float32)), times
    elif made.name.startswith("KDPM2"):  # two calls a step: the first at the level itself, whose time diffusers has rounded
        scheduler.timesteps[::2] = times.to(scheduler.timesteps.dtype)
    scheduler.set_begin_index(0)  # levels may repeat, so a step is known by its place and not by its time
    high = float(sigmas[0])
    scaled = float(scheduler.init_noise_sigma) != 1.0
    return Run(scheduler, steps, high if scaled else high / math.sqrt(high**2 + 1), made.brownian, float(ended[ended > 0].min()), high)
