"""Noise levels: what each of A1111's schedules must give, by its definition and by published numbers."""

from __future__ import annotations

import numpy as np
import pytest

from inference.diffusion.noiselevels import STEPS_SDXL, at, levels, times_of
from inference.diffusion.samplernames import AUTOMATIC, SCHEDULES
from inference.diffusion.schedulers import training_levels
from tests.inference.diffusion.denoisers import CONFIG

TABLE = training_levels(CONFIG)
NAMES = [name for name in SCHEDULES if name != AUTOMATIC]


def test_the_table_is_that_of_stable_diffusion() -> None:
    assert len(TABLE) == 1000
    assert TABLE[0] == pytest.approx(0.0292, abs=1e-4)
    assert TABLE[-1] == pytest.approx(14.6146, abs=1e-4)
    assert (np.diff(TABLE) > 0).all()


def test_zero_snr_ends_in_pure_noise_and_stays_finite() -> None:
    table = training_levels({**CONFIG, "rescale_betas_zero_snr": True})
    assert table[-1] == pytest.approx(4096, rel=1e-3)
    assert np.isfinite(table).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [1, 2, 10, 25, 150])
def test_levels_go_down_from_the_models_highest(name: str, steps: int) -> None:
    found = levels(name, steps, TABLE)
    assert found.shape == (steps,)
    assert (np.diff(found) < 0).all()
    assert (found >= TABLE[0] - 1e-3).all()
    assert found[0] <= TABLE[-1] + 1e-3
    assert found[0] == pytest.approx(TABLE[-1], abs=1e-3) or name == "DDIM"


def test_karras_is_even_in_the_seventh_root() -> None:
    steps = np.diff(levels("Karras", 12, TABLE) ** (1 / 7))
    assert steps == pytest.approx(np.full(11, steps[0]))


def test_exponential_is_even_in_the_logarithm() -> None:
    assert np.diff(np.log(levels("Exponential", 12, TABLE))) == pytest.approx(np.log(TABLE[0] / TABLE[-1]) / 11)


def test_normal_is_even_in_time_and_sgm_uniform_leaves_out_its_last_step() -> None:
    assert times_of(levels("Normal", 10, TABLE), TABLE) == pytest.approx(np.linspace(999, 0, 10))
    assert times_of(levels("SGM Uniform", 10, TABLE), TABLE) == pytest.approx(np.linspace(999, 0, 11)[:-1])


def test_ddim_and_simple_take_levels_of_the_table_itself() -> None:
    assert levels("DDIM", 20, TABLE) == pytest.approx(TABLE[[951 - 50 * step for step in range(20)]])
    assert levels("Simple", 20, TABLE) == pytest.approx(TABLE[[999 - 50 * step for step in range(20)]])


def test_align_your_steps_gives_the_published_levels_at_ten_steps_and_one() -> None:
    assert levels("Align Your Steps", 11, TABLE, sdxl=True) == pytest.approx(STEPS_SDXL)
    assert levels("Align Your Steps", 20, TABLE)[1] != levels("Align Your Steps", 20, TABLE, sdxl=True)[1]


def test_beta_is_dense_at_both_ends() -> None:
    gaps = -np.diff(levels("Beta", 21, TABLE))
    assert gaps[0] < gaps[10]
    assert gaps[-1] < gaps[10]


def test_times_and_levels_are_inverses() -> None:
    times = np.array([0.0, 0.5, 12.25, 998.9])
    assert times_of(at(times, TABLE), TABLE) == pytest.approx(times)
