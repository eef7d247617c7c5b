"""From a recipe to shots: what a version recommends, what is usual for its family, and the key under which each picture is kept.

It writes the rows of a render; who may ask for one is `renders.py`, what a preview shows `previewplans.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from inference import fewsteps, renderlimits, workers
from inference.diffusion import jobs, samplernames
from inference.diffusion.prompts import MAX_PROMPT_BYTES
from inference.diffusion.version import RENDERER_VERSION
from inference.models import Picture, Render, Shot
from inference.renderfiles import Weights, needed_bytes
from registry import lifecycle
from registry.formats.errors import FormatError
from registry.lifecycle import RenderState
from registry.models import Version

SAMPLER, STEPS, CFG_SCALE = "DPM++ 2M Karras", 20, 7.0
"""Where a version recommends nothing: what the guides of the field render with."""


@dataclass(frozen=True)
class PlannedShot:
    """One picture to come. `key` of its row follows from `spec` and the render's files."""

    spec: jobs.Shot
    prompt_number: int = 0
    label: str = ""


def recommended(*versions: Version | None) -> dict[str, Any]:
    """Sampler, steps, CFG scale, CLIP skip and negative prompt as the first of these versions recommends them that does so validly, or as
    is usual where its name says that it needs few steps.

    Keys: sampler, schedule, steps, cfg_scale, clip_skip, negative_prompt.
    """
    found: dict[str, Any] = {}
    for version in versions:
        for name, value in ({**fewsteps.usual(version), **_valid_settings(version)} if version else {}).items():
            found.setdefault(name, value)
    sampler, schedule = samplernames.resolve(SAMPLER)
    usual = {"sampler": sampler, "schedule": schedule, "steps": STEPS, "cfg_scale": CFG_SCALE, "clip_skip": 1, "negative_prompt": ""}
    return {**usual, **found}


def _valid_settings(version: Version) -> dict[str, Any]:
    """What a creator wrote down, as far as it can be followed: a slip there is no reason for no pictures."""
    found: dict[str, Any] = {}
    if version.sampler:
        try:
            found["sampler"], found["schedule"] = samplernames.resolve(version.sampler)
        except FormatError:
            found = {}
    usual = {"steps": STEPS, "cfg_scale": CFG_SCALE, "seed": 0, "clip_skip": 1}
    for name in ("steps", "cfg_scale", "clip_skip"):
        value = getattr(version, name)
        if value is not None and _passes(**{**usual, name: value}):
            found[name] = value
    if version.negative_prompt:
        found["negative_prompt"] = shortened(version.negative_prompt)
    return found


def _passes(**numbers: Any) -> bool:
    try:
        renderlimits.check_numbers(**numbers)
    except FormatError:
        return False
    return True


def shortened(text: str) -> str:
    """A prompt that its limit would refuse, without what is too long of it."""
    return renderlimits.clean_prompt(text.encode(errors="replace")[:MAX_PROMPT_BYTES].decode(errors="ignore"), "prompt")


def key_of(spec: jobs.Shot, files: Sequence[Mapping[str, Any]], prediction: str | None, device: str) -> str:
    """The digest of everything that a picture and its embedded text follow from.

    `files` are rows of `Render.files`. Names are part of it, because the text in the picture tells them.
    """
    plain = spec.to_json()
    plain["addons"] = [{**_identity(files[one.file]), "strength": one.strength, "text_strength": one.text_strength} for one in spec.addons]
    told = {
        "shot": plain,
        "checkpoint": _identity(files[0]),
        "prediction": prediction or "",
        "renderer": RENDERER_VERSION,
        "device": device,
        "numbers": workers.NUMBERS.get(device, device),
    }
    if "t5_bytes" in files[0]:  # SD 3 makes other pictures where the hub has T5
        told["t5"] = bool(settings.T5_DIR)
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()


def _identity(file: Mapping[str, Any]) -> dict[str, Any]:
    return {name: file[name] for name in ("role", "name", "sha256")}


@transaction.atomic
def want(planned: Sequence[PlannedShot], weights: Sequence[Weights], *, prediction: str | None = None, **row: Any) -> Render:
    """A render of these shots, its first file the checkpoint; `row` are further columns. It waits for a worker, unless all is there.

    A picture that was made of the same recipe on the same weights is taken at once; without others to make, the render is made.
    """
    files = [one.to_json() for one in weights]
    size = needed_bytes(files)
    device = workers.expected_device(size)
    keys = [key_of(one.spec, files, prediction, device) for one in planned]
    known = {picture.key: picture for picture in Picture.objects.select_for_update().filter(key__in=keys)}
    missing = [one for one, key in zip(planned, keys, strict=True) if key not in known]
    recipe = {**row.pop("recipe", {}), **({"prediction": prediction} if prediction else {})}
    render = Render.objects.create(
        files=files,
        recipe=recipe,
        weight_bytes=size,
        steps_total=sum(one.spec.steps for one in missing),
        state=RenderState.WANTED if missing else RenderState.MADE,
        outcome={} if missing else {"cached": len(planned)},
        **row,
    )
    Shot.objects.bulk_create(
        Shot(
            render=render,
            place=place,
            spec=one.spec.to_json(),
            prompt_number=one.prompt_number,
            label=one.label[:80],
            key=key,
            picture=known.get(key),
        )
        for place, (one, key) in enumerate(zip(planned, keys, strict=True))
    )
    return lifecycle.born(render) if missing else render
