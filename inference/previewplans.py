"""What a version's previews show, by its kind: prompts, words and strengths beside each other. It writes no rows; `previews.py` does.

Prompts and seeds are the same for all versions, so that pictures of two can be compared.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from inference import recipes, renderfiles, standardprompts
from inference.diffusion import jobs
from inference.diffusion.jobs import AddOn
from inference.diffusion.prompts import parse
from inference.diffusion.version import RENDERER_VERSION
from inference.models import PreviewSettings
from inference.previewbases import base_for
from inference.recipes import PlannedShot
from inference.renderfiles import NoWeights, Weights
from inference.renders import prediction_of
from registry.models import Version

STRENGTHS = (0.0, 0.5, 1.0)
"""Of a LoRA or hypernetwork, beside each other; 0 is the base alone."""
FIRST_SEED = 1001
"""Of the first prompt; the next has the next. Fixed for ever: another would ask for every preview again."""
MAX_PROMPTS = 12
MAX_TRIGGER = 75
"""Characters of trigger words that are put into a prompt: creators list what they trained, not what belongs into one picture."""
NEGATIVE_WORD = re.compile(r"negative|(?<![a-z])(?:neg(?![a-z])|ng(?![a-z])|bad|worst|unrealistic)", re.IGNORECASE)
"""Names of embeddings that are made for the negative prompt: easynegative, badhandv4, ng_deepnegative, "... negative"."""


@dataclass(frozen=True)
class Plan:
    """Files, the checkpoint first, and the shots that are made of them."""

    subject: Weights
    checkpoint: Weights
    shots: tuple[PlannedShot, ...]
    prediction: str | None

    @property
    def weights(self) -> list[Weights]:
        return [self.checkpoint] if self.subject is self.checkpoint else [self.checkpoint, self.subject]

    @property
    def digest(self) -> str:
        """Of everything that the pictures depend on, and of the rows that they are shown for."""
        files = [one.to_json() for one in self.weights]
        shots = [[one.spec.to_json(), one.prompt_number, one.label] for one in self.shots]
        told = json.dumps([RENDERER_VERSION, self.prediction, files, shots], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def plan(version: Version) -> Plan:
    """The previews of a version. Raises FormatError, whose sentence says why there are none."""
    settings = PreviewSettings.objects.filter(version=version).first() or PreviewSettings(version=version)
    if not settings.enabled:
        raise NoWeights("preview:off", "Its owner has switched previews off for this version.")
    if not version.entry.owner.is_active:
        raise NoWeights("preview:owner", "Its owner's account is closed, so nothing is rendered in their name.")
    subject = renderfiles.of_version(version)
    checkpoint = subject if subject.role == jobs.CHECKPOINT else base_for(subject, version.entry.owner)
    prediction = prediction_of(checkpoint.file.version)
    side = renderfiles.native_size(checkpoint, [subject], prediction)
    if subject is not checkpoint:
        _check_fit(subject, checkpoint)
    usual = recipes.recommended(version, checkpoint.file.version)
    negative = settings.negative_prompt or usual.pop("negative_prompt") or standardprompts.NEGATIVE
    usual.pop("negative_prompt", None)
    frame = jobs.Shot(prompt="", negative_prompt=negative, width=side, height=side, **usual)
    prompts = [str(text) for text in settings.prompts][:MAX_PROMPTS] or list(standardprompts.standard(version.entry.kind))
    shots = [
        shot
        for number, prompt in enumerate(prompts)
        for shot in _LAYOUTS[subject.role](Scene(version, subject, replace(frame, seed=FIRST_SEED + number), prompt, number))
    ]
    return Plan(subject, checkpoint, tuple(shots), prediction)


def _check_fit(subject: Weights, checkpoint: Weights) -> None:
    fit = subject.fit(checkpoint)
    if fit.fits is False and not fit.applied:
        raise NoWeights("preview:does-not-fit", f"{fit.sentence} Name another base to render it on.")


@dataclass(frozen=True)
class Scene:
    """One prompt of a version's set, with everything else of its pictures but the add-on."""

    version: Version
    subject: Weights
    frame: jobs.Shot
    prompt: str
    number: int

    @property
    def worded(self) -> str:
        """The prompt with the version's trigger words."""
        return standardprompts.with_word(self.prompt, trigger_of(self.version))

    def shot(self, prompt: str, label: str = "", strength: float = 0.0, **more: Any) -> PlannedShot:
        """One picture; the add-on acts where it has a strength."""
        addons = (AddOn(1, strength),) if strength else ()
        plain = parse(prompt).text  # without tags: creators write them among their trigger words, and a preview has its own strengths
        return PlannedShot(replace(self.frame, prompt=plain, addons=addons, **more), self.number, label)


def trigger_of(version: Version) -> str:
    """The trigger words that go into a prompt together: from the first on, as many as are short enough."""
    chosen: list[str] = []
    for word in version.trigger_words:
        if chosen and len(", ".join([*chosen, word])) > MAX_TRIGGER:
            break
        chosen.append(word.strip())
    return ", ".join(chosen)


def _alone(scene: Scene) -> Iterator[PlannedShot]:
    yield scene.shot(scene.worded)


def _strengths(scene: Scene) -> Iterator[PlannedShot]:
    for strength in STRENGTHS:
        alone = "" if strength else " (base alone)"
        yield scene.shot(scene.worded, f"strength {strength:g}{alone}", strength)


def _vaes(scene: Scene) -> Iterator[PlannedShot]:
    yield scene.shot(scene.worded, "the base's own VAE")
    yield scene.shot(scene.worded, "this VAE", 1.0)


def _refined(scene: Scene) -> Iterator[PlannedShot]:
    """Beside what the base makes of the same noise alone."""
    yield scene.shot(scene.worded, "the base alone")
    yield scene.shot(scene.worded, f"refined from {jobs.SWITCH_AT:.0%} on", 1.0)


def _words(scene: Scene) -> Iterator[PlannedShot]:
    """With an embedding's word and without it: in the prompt, or in the negative prompt where it is made for that."""
    word = scene.subject.name
    bare = standardprompts.tidied(_without(scene.prompt, word).replace(standardprompts.TRIGGER, ""))
    if is_negative(scene.version, word):
        negative = scene.frame.negative_prompt
        yield scene.shot(bare, "without it", negative_prompt=_without(negative, word))
        yield scene.shot(bare, "in the negative prompt", 1.0, negative_prompt=standardprompts.with_word(_without(negative, word), word))
    else:
        yield scene.shot(bare, "without its word")
        yield scene.shot(standardprompts.with_word(scene.prompt, word), "with its word", 1.0)


def _without(text: str, word: str) -> str:
    return standardprompts.tidied(re.sub(re.escape(word), "", text, flags=re.IGNORECASE)) if word else text


def is_negative(version: Version, word: str) -> bool:
    """Whether an embedding is made for the negative prompt, as its name or the entry's tags say."""
    tags = {tag.name for tag in version.entry.tags.all()}
    named = f"{word} {version.entry.name}".replace("_", " ")
    return bool(NEGATIVE_WORD.search(named)) or any("negative" in tag for tag in tags)


_LAYOUTS: dict[str, Callable[[Scene], Iterator[PlannedShot]]] = {
    jobs.CHECKPOINT: _alone,
    jobs.VAE: _vaes,
    jobs.REFINER: _refined,
    jobs.LORA: _strengths,
    jobs.HYPERNETWORK: _strengths,
    jobs.EMBEDDING: _words,
}
