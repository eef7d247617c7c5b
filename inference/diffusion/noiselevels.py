"""The noise levels (sigmas) of a run: A1111's schedules over a model's own noise table. Numbers only: no model, no scheduler, no torch.

Sources: k-diffusion's sampling.py (Normal, Karras, Exponential, Polyexponential), webui 1.10's sd_schedulers.py (the others), and the
papers that those cite. A level is the standard deviation of noise in units of the clean latent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float64]

KARRAS_RHO = 7.0
"""Karras et al. 2022, appendix D: the exponent used for pictures."""
BETA_SHAPE = 0.6
"""Both shape parameters in Lee et al. 2024, "Beta Sampling is All You Need"."""
STEPS_SD1 = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
STEPS_SDXL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)
"""Sabour et al. 2024, "Align Your Steps": ten steps found for SD 1.5 and for SDXL; other counts are interpolated in the logarithm."""


def levels(schedule: str, steps: int, table: Levels, *, sdxl: bool = False) -> Levels:
    """The `steps` levels of a run from high to low, without the zero at its end.

    `table`: the levels of the model's training steps, ascending. `schedule`: a key of samplernames.SCHEDULES but "Automatic" (KeyError).
    """
    if schedule == "Align Your Steps":
        return _aligned(steps, STEPS_SDXL if sdxl else STEPS_SD1)
    return _SCHEDULES[schedule](steps, table)


def at(times: Levels, table: Levels) -> Levels:
    """The levels at training steps, which may lie between two: interpolated in the logarithm, as k-diffusion does."""
    return np.exp(np.interp(times, np.arange(len(table)), np.log(table)))


def times_of(sigmas: Levels, table: Levels) -> Levels:
    """The training steps at which the noise is at these levels: what a UNet is told. The inverse of `at`."""
    return np.interp(np.log(sigmas), np.log(table), np.arange(len(table)))


def _normal(steps: int, table: Levels) -> Levels:
    return at(np.linspace(len(table) - 1, 0, steps), table)


def _sgm_uniform(steps: int, table: Levels) -> Levels:
    return at(np.linspace(len(table) - 1, 0, steps + 1)[:-1], table)


def _simple(steps: int, table: Levels) -> Levels:
    return table[[-(1 + int(step * len(table) / steps)) for step in range(steps)]]


def _ddim(steps: int, table: Levels) -> Levels:
    stride = max(len(table) // steps, 1)
    return table[[min(1 + step * stride, len(table) - 1) for step in reversed(range(steps))]]


def _turbo(steps: int, table: Levels) -> Levels:
    times = np.arange(steps, 0, -1) * (len(table) / steps) - 1
    return np.asarray(table[times.round().astype(int).clip(0, len(table) - 1)])


def _karras(steps: int, table: Levels) -> Levels:
    low, high = table[0] ** (1 / KARRAS_RHO), table[-1] ** (1 / KARRAS_RHO)
    return np.asarray((high + np.linspace(0, 1, steps) * (low - high)) ** KARRAS_RHO)


def _exponential(steps: int, table: Levels) -> Levels:
    return np.asarray(np.exp(np.linspace(np.log(table[-1]), np.log(table[0]), steps)))


def _beta(steps: int, table: Levels) -> Levels:
    from scipy.stats import beta  # type: ignore[import-untyped]  # slow to import, and this schedule alone needs it

    shares = beta.ppf(1 - np.linspace(0, 1, steps), BETA_SHAPE, BETA_SHAPE)
    return np.asarray(table[0] + shares * (table[-1] - table[0]))


def _kl_optimal(steps: int, table: Levels) -> Levels:
    shares = np.arange(steps) / steps
    return np.asarray(np.tan(shares * np.arctan(table[0]) + (1 - shares) * np.arctan(table[-1])))


def _aligned(steps: int, found: tuple[float, ...]) -> Levels:
    places = np.linspace(0, 1, len(found))
    return np.asarray(np.exp(np.interp(np.linspace(0, 1, steps), places, np.log(found))))


_SCHEDULES: dict[str, Callable[[int, Levels], Levels]] = {
    "Uniform": _normal,
    "Normal": _normal,
    "Karras": _karras,
    "Exponential": _exponential,
    "Polyexponential": _exponential,  # A1111's exponent is 1, which is the exponential one
    "SGM Uniform": _sgm_uniform,
    "KL Optimal": _kl_optimal,
    "Simple": _simple,
    "DDIM": _ddim,
    "Beta": _beta,
    "Turbo": _turbo,
}
