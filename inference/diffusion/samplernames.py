"""Samplers and noise schedules by AUTOMATIC1111's names: which there are, what "Automatic" means, and what other tools call them.
A table of words only, free of torch; `schedulers` builds what is named here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from registry.formats.errors import FormatError

AUTOMATIC = "Automatic"


@dataclass(frozen=True, slots=True)
class Sampler:
    """One row of A1111's list. `automatic` is the schedule that "Automatic" means for it (sd_samplers_kdiffusion.py of webui 1.10).

    `own_schedule`: it lays out its own steps and takes no schedule. `calls`: calls of the UNet per step. `exact` False: diffusers has
    nothing that is the same, `note` says what is rendered instead. `aliases`: what k-diffusion, ComfyUI and older versions call it.
    """

    name: str
    automatic: str = "Normal"
    aliases: tuple[str, ...] = ()
    calls: int = 1
    exact: bool = True
    note: str = ""
    own_schedule: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the noise levels of the steps are spread. `aliases`: what ComfyUI and older versions call it."""

    name: str
    aliases: tuple[str, ...] = ()


class Choice(NamedTuple):
    """A sampler and a schedule that belong together, by their names in the tables here."""

    sampler: str
    schedule: str


NO_ANCESTRAL = "Rendered with the single-step DPM-Solver++, which adds no noise between the steps."
ADAPTIVE = "Rendered with DPM++ 2M at the steps asked for: step sizes are not adapted."
NO_RESTART = "Rendered with Euler on the same schedule, without going back up to restart."
NO_PLUS = "Rendered without the CFG++ correction."

_SAMPLERS = (
    Sampler("Euler", aliases=("k_euler",)),
    Sampler("Euler a", aliases=("k_euler_a", "k_euler_ancestral", "euler_ancestral")),
    Sampler("LMS", aliases=("k_lms",)),
    Sampler("Heun", aliases=("k_heun",), calls=2),
    Sampler("DPM2", "Karras", ("k_dpm_2", "dpm_2"), calls=2),
    Sampler("DPM2 a", "Karras", ("k_dpm_2_a", "k_dpm_2_ancestral", "dpm_2_ancestral", "dpm_2_a"), calls=2),
    Sampler("DPM++ 2M", "Karras", ("k_dpmpp_2m", "dpmpp_2m")),
    Sampler("DPM++ 2M SDE", "Exponential", ("k_dpmpp_2m_sde", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu")),
    Sampler("DPM++ 2M SDE Heun", "Exponential", ("k_dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun")),
    Sampler("DPM++ 3M SDE", "Exponential", ("k_dpmpp_3m_sde", "dpmpp_3m_sde", "dpmpp_3m_sde_gpu")),
    Sampler("DPM++ SDE", "Karras", ("k_dpmpp_sde", "dpmpp_sde", "dpmpp_sde_gpu"), calls=2),
    Sampler("DPM++ 2S a", "Karras", ("k_dpmpp_2s_a", "dpmpp_2s_ancestral", "k_dpmpp_2s_ancestral"), exact=False, note=NO_ANCESTRAL),
    Sampler("DPM fast", "Normal", ("k_dpm_fast", "dpm_fast"), exact=False, note="Rendered with the third-order single-step DPM-Solver++."),
    Sampler("DPM adaptive", "Normal", ("k_dpm_ad", "k_dpm_adaptive", "dpm_adaptive"), exact=False, note=ADAPTIVE),
    Sampler("Restart", "Karras", exact=False, note=NO_RESTART),
    Sampler("DDIM", own_schedule=True),
    Sampler("DDIM CFG++", own_schedule=True, exact=False, note=NO_PLUS),
    Sampler("PLMS", own_schedule=True, aliases=("PNDM",)),
    Sampler("UniPC", own_schedule=True, aliases=("uni_pc", "uni_pc_bh2")),
    Sampler("LCM", own_schedule=True),
    Sampler("TCD", own_schedule=True),
    Sampler("DDPM", own_schedule=True),
    Sampler("DEIS", aliases=("deis_2m",)),
    Sampler("HeunPP2", calls=2, exact=False, note="Rendered with Heun."),
    Sampler("IPNDM", exact=False, own_schedule=True, note="Rendered with PLMS."),
    Sampler("IPNDM_V", exact=False, own_schedule=True, note="Rendered with PLMS."),
)
SAMPLERS: dict[str, Sampler] = {sampler.name: sampler for sampler in _SAMPLERS}
"""By A1111's name, in the order of its list."""

_SCHEDULES = (
    Schedule(AUTOMATIC),
    Schedule("Uniform"),
    Schedule("Karras"),
    Schedule("Exponential"),
    Schedule("Polyexponential"),
    Schedule("SGM Uniform", ("SGMUniform",)),
    Schedule("KL Optimal"),
    Schedule("Align Your Steps", ("ays",)),
    Schedule("Simple"),
    Schedule("Normal"),
    Schedule("DDIM", ("ddim_uniform",)),
    Schedule("Beta"),
    Schedule("Turbo"),
)
SCHEDULES: dict[str, Schedule] = {schedule.name: schedule for schedule in _SCHEDULES}
"""By A1111's name ("Turbo" is Forge's)."""

MAX_NAME = 80
"""Characters of a name that is looked at: A1111's longest is 21 ("DPM++ 2M SDE Exponential" with its schedule 24)."""


def resolve(sampler_name: str, schedule_type: str = AUTOMATIC) -> Choice:
    """The rows that are meant, whatever the case: A1111's names, old combined ones ("DPM++ 2M Karras"), k-diffusion's and ComfyUI's.

    A schedule named apart wins over one in the sampler's name; "Automatic" becomes the sampler's own, and stays "Automatic" for samplers
    that lay out their own steps. Raises FormatError("render:sampler" or "render:schedule").
    """
    sampler, inside = _sampler(sampler_name)
    wanted = _schedule(schedule_type or AUTOMATIC)
    if sampler.own_schedule:
        return Choice(sampler.name, AUTOMATIC)
    return Choice(sampler.name, next((one for one in (wanted, inside) if one != AUTOMATIC), sampler.automatic))


def _sampler(name: str) -> tuple[Sampler, str]:
    plain = _plain(name)
    if plain in _SAMPLER_WORDS:
        return _SAMPLER_WORDS[plain], AUTOMATIC
    for word, schedule in _SCHEDULE_WORDS.items():
        front = plain.removesuffix(f" {word}")
        if front != plain and front in _SAMPLER_WORDS:
            return _SAMPLER_WORDS[front], schedule.name
    raise FormatError("render:sampler", f'There is no sampler called "{_shown(name)}". Known are: {", ".join(SAMPLERS)}.')


def _schedule(name: str) -> str:
    if _plain(name) not in _SCHEDULE_WORDS:
        raise FormatError("render:schedule", f'There is no schedule type called "{_shown(name)}". Known are: {", ".join(SCHEDULES)}.')
    return _SCHEDULE_WORDS[_plain(name)].name


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name[:MAX_NAME]).strip().casefold()


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:MAX_NAME])


_SAMPLER_WORDS = {_plain(word): sampler for sampler in _SAMPLERS for word in (sampler.name, *sampler.aliases)}
_SCHEDULE_WORDS = {_plain(word): schedule for schedule in _SCHEDULES for word in (schedule.name, *schedule.aliases)}
