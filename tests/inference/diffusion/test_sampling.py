"""Samplers against k-diffusion's formulas, with a denoiser that is known exactly; and that nobody's noise depends on his neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from inference.diffusion.noiselevels import levels
from inference.diffusion.samplernames import AUTOMATIC, SAMPLERS, SCHEDULES
from inference.diffusion.sampling import Cancelled, PictureNoise, sample
from inference.diffusion.schedulers import build, training_levels
from tests.inference.diffusion import denoisers
from tests.inference.diffusion.denoisers import CONFIG, DEVIATION, MEAN, SHAPE

TABLE = training_levels(CONFIG)
DENOISE = denoisers.told_noise(TABLE)
SEEDS = [0, 7, 2**64 - 1]


def sampled(sampler: str, schedule: str = AUTOMATIC, steps: int = 8, seeds: list[int] = SEEDS, **heard: Any) -> torch.Tensor:
    return sample(DENOISE, build(sampler, schedule, steps, CONFIG), PictureNoise(seeds, SHAPE, "cpu"), **heard)


EXACT = {
    "Euler": denoisers.euler,
    "Euler a": denoisers.euler_ancestral,
    "Heun": denoisers.heun,
    "DPM2": denoisers.dpm2,
    "DPM++ 2M": denoisers.dpmpp_2m,
    "DPM++ 2M SDE": denoisers.dpmpp_2m_sde,
    "DPM++ 2M SDE Heun": denoisers.dpmpp_2m_sde_heun,
    "DPM++ 3M SDE": denoisers.dpmpp_3m_sde,
    "DPM++ SDE": denoisers.dpmpp_sde,
}

LESS_ONE = ("DPM2", "DPM++ 3M SDE")
"""For these A1111 leaves out the level before the last."""


@pytest.mark.parametrize("schedule", ["Karras", "Normal", "Exponential", "SGM Uniform", "Beta", "Align Your Steps"])
@pytest.mark.parametrize("sampler", EXACT)
def test_a_sampler_does_what_k_diffusion_does(sampler: str, schedule: str) -> None:
    steps, seeds = 9, [3, 11]
    noise = PictureNoise(seeds, SHAPE, "cpu")
    start = noise.first()
    found = levels(schedule, steps + (sampler in LESS_ONE), TABLE)[:steps]
    path = noise.path(float(found.min()), float(found[0]))

    def between(step: int, sigma: float, following: float) -> torch.Tensor:
        fresh = [torch.randn(SHAPE, generator=generator) for generator in noise.generators]
        return torch.stack(fresh) if sampler == "Euler a" else path(sigma, following)

    wanted = EXACT[sampler](start * found[0], [*found.tolist(), 0.0], between)
    assert torch.allclose(sampled(sampler, schedule, steps, seeds), wanted, atol=2e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_depends_on_its_seed_and_not_on_its_neighbours(sampler: str) -> None:
    together = sampled(sampler)
    for place in (0, len(SEEDS) - 1):
        assert torch.allclose(sampled(sampler, seeds=[SEEDS[place]])[0], together[place], atol=1e-5)
    assert (together[0] - together[1]).abs().mean() > 0.1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_arrives_at_what_was_learned(sampler: str) -> None:
    found = sampled(sampler, steps=20, seeds=list(range(6)))
    assert found.mean().item() == pytest.approx(MEAN, abs=0.06)
    assert found.std().item() == pytest.approx(DEVIATION, abs=0.3 if sampler == "LCM" else 0.17)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_few_steps_are_counted_once_each_and_give_numbers(sampler: str) -> None:
    for steps in (1, 2, 3, 5):
        told: list[int] = []
        assert torch.isfinite(sampled(sampler, steps=steps, seeds=[1], done=told.append)).all()
        assert told == list(range(1, steps + 1))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_runs_with_every_sort_of_scheduler(schedule: str) -> None:
    for sampler in ("Euler", "Euler a", "LMS", "Heun", "DPM2 a", "DPM++ 2M", "DPM++ 3M SDE", "DPM++ SDE", "DPM++ 2S a", "DEIS"):
        assert torch.isfinite(sampled(sampler, schedule, steps=4, seeds=[1])).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_velocity_and_zero_snr_are_heeded(sampler: str) -> None:
    config = {**CONFIG, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    velocity: Callable[..., torch.Tensor] = denoisers.told_noise(training_levels(config), velocity=True)
    found = sample(velocity, build(sampler, "SGM Uniform", 20, config), PictureNoise(list(range(4)), SHAPE, "cpu"))
    assert found.mean().item() == pytest.approx(MEAN, abs=0.1)
    assert found.std().item() == pytest.approx(DEVIATION, abs=0.35)


def test_the_first_noise_is_that_of_a_cpu_generator() -> None:
    first = PictureNoise([5, 6], SHAPE, "cpu").first()
    assert torch.equal(first[1], torch.randn((1, *SHAPE), generator=torch.Generator("cpu").manual_seed(6))[0])


def test_a_cancelled_run_ends_between_two_steps() -> None:
    told: list[int] = []
    with pytest.raises(Cancelled):
        sampled("Euler", steps=10, done=told.append, cancelled=lambda: len(told) == 3)
    assert told == [1, 2, 3]
