"""Pictures of several versions beside each other: which shots show the same scene, and which pictures stand for a version in it.

It reads renders and plans no pictures; a scene says what to ask `renders.request` for. Who may see a version is its caller's question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from inference import renderfiles, standardprompts
from inference.diffusion import prompts, samplernames
from inference.models import Purpose, Render, Shot
from inference.offered import offered_previews, strength_of
from inference.previewplans import FIRST_SEED, is_negative, trigger_of
from inference.standardprompts import NEGATIVE, TRIGGER
from registry.formats.errors import FormatError
from registry.lifecycle import RenderState
from registry.models import Kind, Version

NUMBERS = ("steps", "cfg_scale", "clip_skip", "width", "height")
"""Settings that a scene may fix and that a shot has under the same name."""
OWN_LOOKED_AT = 200
"""Shots that a person asked for which are looked at, the newest: a page compares four versions in a dozen scenes."""


@dataclass(frozen=True)
class Scene:
    """One recipe for several versions. In `prompt` {trigger} marks where each puts its trigger words. A setting that is not `fixed` is as
    each version recommends it.

    `fixed`: any of NUMBERS, sampler_name, negative_prompt.
    """

    prompt: str
    seed: int
    fixed: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def standard(self) -> bool:
        """Whether it is one of the hub's own, which every version's previews show."""
        return self.prompt in _standard()

    @property
    def shown(self) -> str:
        """The prompt as people read it: without the place of the trigger words."""
        return standardprompts.tidied(self.prompt.replace(TRIGGER, "")) if self.standard else self.prompt

    def is_of(self, spec: Mapping[str, Any], kind: str = Kind.CHECKPOINT) -> bool:
        """Whether a shot of an entry of this kind shows this scene: prompt and seed, and every setting that is fixed.

        Trigger words in it may have changed since. An embedding's word may stand in front.
        """
        if spec.get("seed") != self.seed:
            return False
        front = "(?:.*, )?" if kind == Kind.EMBEDDING else ""
        if not re.match(front + _pattern(self.prompt), _folded(spec.get("prompt", "")), re.DOTALL):
            return False
        return all(spec.get(name) == self.fixed[name] for name in NUMBERS if name in self.fixed) and self._words_fit(spec, kind)

    def _words_fit(self, spec: Mapping[str, Any], kind: str) -> bool:
        negative, sampler = self.fixed.get("negative_prompt"), self.fixed.get("sampler_name")
        if negative and kind != Kind.EMBEDDING and _folded(spec.get("negative_prompt", "")) != _folded(negative):
            return False
        return not sampler or _chosen(sampler) == (spec.get("sampler"), spec.get("schedule"))


def _folded(text: Any) -> str:
    return " ".join(str(text).split()).casefold()


def _chosen(sampler: str) -> tuple[str, str] | None:
    try:
        name, schedule = samplernames.resolve(sampler)
    except FormatError:
        return None
    return name, schedule


@lru_cache(256)
def _pattern(prompt: str) -> str:
    """What a prompt looks like, folded, with any trigger words or none in their place."""
    try:
        text = _folded(standardprompts.tidied(prompts.parse(prompt).text))
    except FormatError:
        text = _folded(prompt)
    before, place, after = text.partition(TRIGGER)
    return (f"{re.escape(before.rstrip(' ,'))}.*{re.escape(after.lstrip(' ,'))}" if place else re.escape(before)) + r"\Z"


@lru_cache(1)
def _standard() -> dict[str, int]:
    """The hub's own prompts, each with its number among those of its kind."""
    return {text: n for kind in (Kind.CHECKPOINT, Kind.EMBEDDING) for n, text in enumerate(standardprompts.standard(kind))}


def standard_scenes(kind: str) -> list[Scene]:
    """Those that the previews of a kind show, with their seeds."""
    return [Scene(text, FIRST_SEED + n) for n, text in enumerate(standardprompts.standard(kind))]


def scene_of(spec: Mapping[str, Any]) -> Scene:
    """The scene that a preview's shot shows: one of the hub's own where its prompt is one of those, else its prompt as it stands."""
    for text, number in _standard().items():
        scene = Scene(text, FIRST_SEED + number)
        if scene.is_of(spec):
            return scene
    return Scene(str(spec.get("prompt", "")), int(spec.get("seed", 0)))


def previews_of(versions: Iterable[Version]) -> dict[int, list[Shot]]:
    """Version id -> the pictures that stand for it, one a prompt: of an add-on those where it acts as near to strength 1 as any.

    Two queries. Versions are those that the reader may see; what is withdrawn or switched off has none.
    """
    rows = offered_previews().filter(version__in=list(versions), shots__picture__isnull=False).exclude(state=RenderState.CANCELLED)
    newest: dict[int, Render] = {}
    for render in rows.distinct().order_by("pk"):
        known = newest.get(render.version_id)
        if known is None or render.state == RenderState.MADE or known.state != RenderState.MADE:
            newest[render.version_id] = render
    shots = Shot.objects.filter(render__in=newest.values(), picture__isnull=False).select_related("picture", "render").order_by("place")
    found: dict[int, dict[int, Shot]] = {}
    for shot in shots:
        mine = found.setdefault(shot.render.version_id, {})
        known_shot = mine.get(shot.prompt_number)
        if known_shot is None or from_one(shot) < from_one(known_shot):
            mine[shot.prompt_number] = shot
    return {pk: list(mine.values()) for pk, mine in found.items()}


def from_one(shot: Shot) -> float:
    """How far from strength 1 the version's weights act in a shot."""
    return abs(strength_of(shot.spec.get("addons"), alone=shot.render.base_id is None) - 1.0)


def own_of(user: Any, versions: Iterable[Version], scenes: Sequence[Scene]) -> list[Shot]:
    """What this person asked for of these versions with the scenes' seeds, newest first: done, in work, or failed. One query."""
    if not (user and user.is_authenticated and scenes):
        return []
    rows = Shot.objects.filter(render__owner=user, render__purpose=Purpose.TXT2IMG, render__version__in=list(versions))
    known = rows.filter(spec__seed__in=[scene.seed for scene in scenes]).select_related("picture", "render")
    return [shot for shot in known.order_by("-render_id", "place")[:OWN_LOOKED_AT] if from_one(shot) < 1e-6]


def request_for(scene: Scene, version: Version) -> dict[str, Any]:
    """The arguments of `renders.request` that make this scene's picture of a version, an add-on at strength 1.

    Raises FormatError for an embedding that cannot be rendered.
    """
    asked: dict[str, Any] = {"version_id": version.pk, "seed": scene.seed, **scene.fixed}
    if scene.standard and not asked.get("negative_prompt") and not version.negative_prompt:
        asked["negative_prompt"] = NEGATIVE  # as its previews have it
    if version.entry.kind in {Kind.LORA, Kind.HYPERNETWORK}:
        asked["loras"] = [{"version_id": version.pk, "strength": 1.0}]
    if version.entry.kind != Kind.EMBEDDING:
        return {**asked, "prompt": standardprompts.tidied(scene.prompt.replace(TRIGGER, trigger_of(version)))}
    word = renderfiles.of_version(version).name
    if is_negative(version, word):
        bare = standardprompts.tidied(scene.prompt.replace(TRIGGER, ""))
        return {**asked, "prompt": bare, "negative_prompt": standardprompts.with_word(asked.get("negative_prompt", ""), word)}
    return {**asked, "prompt": standardprompts.with_word(scene.prompt, word)}
