"""Which file of a version other programs are shown how to take, and by which address. The lines themselves are `hub.usage`'s."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from hub import downloads, repopaths, usage
from hub.folders import NAMES
from hub.snippets import PIPELINES, Usage
from registry import ratings
from registry.models import CLOSED, Entry, File, Status, Version

COOKIE = "program"
"""Which tab a visitor opened last; `frontend/areas/model.js` writes it."""
RENDERED_AS = {"SD 1.x": "sd1", "SD 2.x": "sd2-base", "SDXL": "sdxl"}
"""Families as tensors prove them, by their names among pipelines."""
MORE_KINDS = {"unet": "unet", "controlnet": "controlnet", "vae": "vae", "text_encoder": "text_encoder"}
"""What tensors prove and a creator files under another kind: it belongs into the folder of what it is."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How one file gets to where it is used: programs with a folder each, those of the terminal, the open tab, and what a prompt says."""

    file: File
    places: list[usage.Program]
    programs: list[usage.Program]
    chosen: str
    words: str


def ways_for(request: HttpRequest, version: Version, file: File, files: Iterable[File]) -> Ways:
    """The ways of one downloadable file of a version, of which `files` are all that its repository shows."""
    wanted = wanted_of(request, version, file, files)
    return Ways(file, usage.places(wanted), usage.programs(wanted), program_of(request), usage.prompt_words(wanted))


def program_of(request: HttpRequest) -> str:
    """The program whose tab is open for this visitor."""
    chosen = request.COOKIES.get(COOKIE, "")
    return chosen if chosen in NAMES else next(iter(NAMES))


def wanted_of(request: HttpRequest, version: Version, file: File, files: Iterable[File]) -> usage.Wanted:
    """What the lines are made of."""
    entry, detected = version.entry, file.blob.detected if file.blob else {}
    safe = file.blob is not None and file.blob.container == "safetensors"
    use = Usage(
        repo=f"{entry.owner.username}/{entry.slug}",
        revision=version.branch,
        kind=_kind(entry, str(detected.get("kind") or "")),
        path=_path(file, files),
        endpoint=downloads.origin_of(request),
        pipeline=_pipeline(detected) if safe else "",
        words=tuple(version.trigger_words),
        weight=version.weight,
    )
    hidden = entry.visibility in CLOSED or ratings.above_cap(entry.rating)
    private = hidden or version.status != Status.PUBLISHED
    return usage.Wanted(use, file.name, downloads.download_url(request, file), file.sha256, private)


def _pipeline(detected: dict[str, Any]) -> str:
    """What loads the checkpoint in diffusers, where its tensors are those of a plain model; "" for what needs more to be known."""
    plain = not detected.get("flavour") and not detected.get("variants")
    return PIPELINES.get(RENDERED_AS.get(str(detected.get("family") or ""), ""), "") if plain else ""


def _kind(entry: Entry, detected: str) -> str:
    return MORE_KINDS.get(detected, entry.kind)


def _path(file: File, files: Iterable[File]) -> str:
    return repopaths.assign(one for one in files if one.downloadable).get(file.pk, file.name)
