"""Distilled models that need few steps (LCM, Turbo, Lightning, Hyper), known by what they are called, and what is usual for them.

Tensors do not tell: a distilled model has the shapes of what it was distilled from. A word in a title proves nothing, so whatever a
creator recommends goes before this; names of add-ons, which are often ordinary words, must tell their steps as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from inference.diffusion import samplernames
from registry.models import Kind, Version

LEAST, MOST = 1, 8
TOLD_STEPS = re.compile(r"(?<!\d)(\d{1,2})[ _-]?steps?(?![a-z])", re.IGNORECASE)
""" "lightning_4step", "Hyper-SDXL-8steps"."""

FLOWS = ("SD 3", "Flux")
"""Bases whose noise is another: their own sampler stays."""


@dataclass(frozen=True)
class Distilled:
    """A way of distilling: the words that name it, and what its authors render with."""

    word: re.Pattern[str]
    sampler: str
    steps: int
    cfg_scale: float


def _word(text: str) -> re.Pattern[str]:
    """The word by itself or as a hump ("DreamTurboXL"), so neither "turbofan" nor "hyperreal"."""
    humps = "|".join({text.capitalize(), text.upper()})
    return re.compile(rf"(?:(?<![A-Za-z]){text}|(?:{humps}))(?![a-z])")


WAYS = (
    Distilled(_word("lcm"), "LCM", 6, 1.5),
    Distilled(_word("lightning"), "Euler SGM Uniform", 6, 1.0),
    Distilled(_word("hyper"), "Euler SGM Uniform", 8, 1.0),
    Distilled(_word("turbo"), "Euler a", 6, 1.5),
    Distilled(_word("schnell"), "Euler", 4, 1.0),
)
"""latent-consistency/lcm-lora-sdv1-5 (4 to 8 steps, scale 1 to 2), ByteDance's SDXL-Lightning and Hyper-SD (Euler, trailing timesteps,
no guidance), stabilityai/sdxl-turbo and its community's merges, FLUX.1-schnell."""


def usual(version: Version) -> dict[str, Any]:
    """Sampler, schedule, steps and CFG scale of a distilled version; {} for any other."""
    for name in _names(version):
        for way in WAYS:
            if way.word.search(name) and (version.entry.kind == Kind.CHECKPOINT or _is_sure(way, version, name)):
                return _settings(way, name, version.base_model)
    return {}


def _names(version: Version) -> list[str]:
    """What a version is called, the hub's own word for its base first."""
    files = [(file.name, file.blob) for file in version.files.select_related("blob")]
    training = [blob.detected.get("training") or {} for _, blob in files if blob]
    told = [str(one.get(key) or "") for one in training for key in ("title", "output_name", "architecture")]
    return [version.base_model, version.name, version.entry.name, *(name for name, _ in files), *told]


def _is_sure(way: Distilled, version: Version, name: str) -> bool:
    return way is WAYS[0] or name == version.base_model or bool(TOLD_STEPS.search(name))


def _settings(way: Distilled, name: str, base_model: str) -> dict[str, Any]:
    told = TOLD_STEPS.search(name)
    steps = int(told[1]) if told and LEAST <= int(told[1]) <= MOST else way.steps
    found: dict[str, Any] = {"steps": steps, "cfg_scale": way.cfg_scale}
    if not base_model.startswith(FLOWS):
        found["sampler"], found["schedule"] = samplernames.resolve(way.sampler)
    return found
