"""What the form for pictures is filled in with when somebody opens the settings of a person's image. Reads the stored words only."""

from __future__ import annotations

import re
from typing import Any

from hub.web.images import hidden_from
from hub.web.renderforms import KINDS
from inference.diffusion.samplernames import SAMPLERS
from registry import images
from registry.models import UserImage, Version

MOST_PROMPT = 5_000
NUMBERS: tuple[tuple[str, str, type[int] | type[float]], ...] = (
    ("steps", "Steps", int),
    ("cfg_scale", "CFG scale", float),
    ("seed", "Seed", int),
    ("clip_skip", "Clip skip", int),
)
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


def like(request: Any, pk: int) -> dict[str, Any]:
    """Initial values of the form by its fields; {} for an image that this visitor may not see, or that says nothing."""
    image = images.find(pk)
    if image is None or not images.may_get(request.user, image) or hidden_from(request, image) or not image.file.tool:
        return {}
    return _initial(image)


def _initial(image: UserImage) -> dict[str, Any]:
    said: dict[str, Any] = image.file.meta
    settings: dict[str, str] = said.get("settings", {})
    found: dict[str, Any] = {name: str(said.get(name, ""))[:MOST_PROMPT] for name in ("prompt", "negative_prompt")}
    for name, label, kind in NUMBERS:
        number = _number(settings.get(label, ""), kind)
        if number is not None:
            found[name] = number
    if size := _SIZE.fullmatch(settings.get("Size", "")):
        found |= {"width": int(size[1]), "height": int(size[2])}
    if settings.get("Sampler") in SAMPLERS:
        found["sampler_name"] = settings["Sampler"]
    return found


def _number(text: str, kind: type[int] | type[float]) -> int | float | None:
    try:
        number = kind(text[:30])
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1 << 53 else None


def opened_with(image: UserImage, used: list[tuple[str, Version]]) -> Version | None:
    """The version whose form is opened: that of an add-on the image is attached to, else the checkpoint it was made with if that is here,
    else the version it is attached to; None where that makes no pictures. `used` are (kind of resource, version here)."""
    version = image.version
    if version.entry.kind == "checkpoint":
        version = next((one for kind, one in used if kind == "model" and one.entry.kind == "checkpoint"), version)
    return version if version.entry.kind in KINDS and image.file.tool else None
