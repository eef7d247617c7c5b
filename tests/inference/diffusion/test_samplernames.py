"""Sampler and schedule names: A1111's of every age, ComfyUI's, and what is refused."""

from __future__ import annotations

import pytest

from inference.diffusion.jobs import Shot
from inference.diffusion.samplernames import AUTOMATIC, SAMPLERS, SCHEDULES, resolve
from registry.formats.errors import FormatError


@pytest.mark.parametrize(
    ("named", "schedule", "meant"),
    [
        ("DPM++ 2M", "Karras", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "Automatic", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "Exponential", ("DPM++ 2M", "Exponential")),
        ("DPM++ 2M SDE Heun Exponential", "Automatic", ("DPM++ 2M SDE Heun", "Exponential")),
        ("DPM++ 2M SDE", "Automatic", ("DPM++ 2M SDE", "Exponential")),
        ("dpm++ sde", "automatic", ("DPM++ SDE", "Karras")),
        ("DPM2 a", "Automatic", ("DPM2 a", "Karras")),
        ("euler A", "sgm uniform", ("Euler a", "SGM Uniform")),
        ("Euler a", "Automatic", ("Euler a", "Normal")),
        ("dpmpp_2m", "karras", ("DPM++ 2M", "Karras")),
        ("dpmpp_2m_sgm_uniform", "Automatic", ("DPM++ 2M", "SGM Uniform")),
        ("k_euler_ancestral", "simple", ("Euler a", "Simple")),
        ("euler", "ddim_uniform", ("Euler", "DDIM")),
        ("uni_pc", "normal", ("UniPC", AUTOMATIC)),
        ("DDIM", "Karras", ("DDIM", AUTOMATIC)),
        ("PNDM", "Automatic", ("PLMS", AUTOMATIC)),
        ("  Euler   a ", " Automatic ", ("Euler a", "Normal")),
    ],
)
def test_a_name_of_any_age_means_one_sampler_and_one_schedule(named: str, schedule: str, meant: tuple[str, str]) -> None:
    assert resolve(named, schedule) == meant


def test_every_pair_resolves_to_itself_once_resolved() -> None:
    for sampler in SAMPLERS:
        for schedule in SCHEDULES:
            assert resolve(*resolve(sampler, schedule)) == resolve(sampler, schedule)


def test_what_diffusers_does_otherwise_is_said() -> None:
    said = {name for name, sampler in SAMPLERS.items() if sampler.note}
    assert said == {name for name, sampler in SAMPLERS.items() if not sampler.exact}
    assert {"Restart", "DPM adaptive", "DPM++ 2S a", "DDIM CFG++"} <= said
    assert {"Euler", "Euler a", "DPM++ 2M", "DDIM"}.isdisjoint(said)


def test_a_shots_own_words_are_in_the_tables() -> None:
    shot = Shot("a red circle")
    assert resolve(shot.sampler, shot.schedule) == (shot.sampler, shot.schedule)


@pytest.mark.parametrize("name", ["", "Undefined", "Karras", "Euler b", "\x00\x1b[31m", "x" * 100_000, "Euler " * 20_000])
def test_an_unknown_sampler_is_refused_in_a_sentence_that_names_the_known(name: str) -> None:
    with pytest.raises(FormatError) as refused:
        resolve(name)
    assert refused.value.code == "render:sampler"
    assert "DPM++ 2M SDE Heun" in refused.value.sentence
    assert refused.value.sentence.isprintable()
    assert len(refused.value.sentence) < 600


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(FormatError) as refused:
        resolve("Euler", "Moonlight")
    assert refused.value.code == "render:schedule"
    assert "Moonlight" in refused.value.sentence
