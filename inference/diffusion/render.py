"""Pictures of a job: loads, groups shots, samples, decodes, and says what happens as it happens. Knows no pipe, no lock and no database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import torch

from inference.diffusion.batches import BatchSize, grouped, is_memory, let_go, peak_bytes
from inference.diffusion.bounds import check_shot
from inference.diffusion.compiled import fast_unet
from inference.diffusion.conditioning import Encoded, check_length
from inference.diffusion.decoding import develop
from inference.diffusion.flowsampling import FlowGuided, check_flow_shot, flow_notes, flow_run
from inference.diffusion.guidance import FACTOR, Guided
from inference.diffusion.jobs import EMBEDDING, HYPERNETWORK, LORA, REFINER, VAE, Event, Job, Shot
from inference.diffusion.loading import Model
from inference.diffusion.patching import applied
from inference.diffusion.prompts import parse
from inference.diffusion.refining import Begun, about, check_alike, check_refined, denoiser, refiner_of, switch_time
from inference.diffusion.residence import Residence
from inference.diffusion.samplernames import SAMPLERS, resolve
from inference.diffusion.sampling import Cancelled, PictureNoise, Walk
from inference.diffusion.schedulers import Run, build
from inference.diffusion.version import RENDERER_VERSION

STEP_EVERY = 0.1
"""Seconds between two "step" events at least, of the whole job."""
VERSIONS = {name: version(name) for name in ("torch", "diffusers", "transformers")}
"""Asked for while files may still be opened."""


@dataclass(slots=True)
class _Course:
    """One job on its way: where its words go, and what is known of it at its end."""

    job: Job
    fds: Sequence[int]
    emit: Callable[[Event], None]
    cancelled: Callable[[], bool]
    addons: dict[int, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    batches: list[dict[str, Any]] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    facts: dict[str, Any] = field(default_factory=dict)
    alike: tuple[str, object] = ("", None)
    begun: dict[int, list[Begun]] = field(default_factory=dict)
    last_step: float = 0.0

    def note(self, sentence: str) -> None:
        """Each sentence once."""
        if sentence and sentence not in self.said:
            self.said.add(sentence)
            self.emit(Event("note", note=sentence))

    def loading(self, name: str) -> None:
        self.emit(Event("loading", note=name))

    def step(self, places: Sequence[int], step: int, steps: int) -> None:
        if time.monotonic() - self.last_step >= STEP_EVERY:
            self.last_step = time.monotonic()
            self.emit(Event("step", shots=tuple(places), step=step, steps=steps))

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.monotonic() - began


class Renderer:
    """Renders jobs one after another on one device ("cpu", "cuda"); the checkpoint of the last one stays loaded."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self._residence = Residence(device)

    def render(self, job: Job, fds: Sequence[int], emit: Callable[[Event], None], cancelled: Callable[[], bool] = lambda: False) -> None:
        """Says every shot's picture, or why there is none, then "done"; ends early once `cancelled()`, which is asked before each step.

        `fds` are open files in the order of `job.files`; they may be closed afterwards. Raises FormatError for files and shots that cannot
        be rendered, before anything was sampled where it can be known by then, and whatever torch raises where one picture does not fit
        into memory.
        """
        for shot in job.shots:
            check_shot(shot)
        if not any(file.role == EMBEDDING for file in job.files):
            for text in {text for shot in job.shots for text in (shot.prompt, shot.negative_prompt)}:
                check_length(text)
        course = _Course(job, fds, emit, cancelled)
        try:
            self._first_stage(course)
            for place in sorted(course.begun):
                self._second_stage(course, place)
        except Cancelled:
            return
        emit(Event("done", data=_facts(course)))

    def _first_stage(self, course: _Course) -> None:
        """All that the checkpoint does; nothing of it is held afterwards but by the residence, and what was begun for refiners."""
        job, fds = course.job, course.fds
        with course.timed("load"):
            model = self._residence.model(job, fds, course.loading)
            check_refined(job, model)
            for shot in job.shots if model.architecture.is_flow else ():
                check_flow_shot(model, shot)
            for place in sorted({addon.file for shot in job.shots for addon in shot.addons if job.files[addon.file].role != REFINER}):
                course.addons[place] = self._residence.addon(job, place, fds, course.loading)
        course.facts, course.alike = self._about(model), about(model)
        with course.timed("total"):
            for places in grouped(job.shots):
                self._group(course, model, places)

    def _second_stage(self, course: _Course, place: int) -> None:
        """A refiner over every batch that was begun for it."""
        with course.timed("load"):
            refiner = self._residence.refiner(course.job, place, course.fds, course.loading)
            check_alike(course.alike, refiner)
        with course.timed("total"), torch.inference_mode():
            for begun in course.begun[place]:
                began, shots = time.monotonic(), [course.job.shots[one] for one in begun.places]
                with course.timed("encode"):
                    denoise = denoiser(refiner, shots, begun.embeddings, course.note)
                with course.timed("sample"):
                    latents = begun.walk.go(denoise, done=partial(_step, course, begun.places), cancelled=course.cancelled)
                for _ in _tell_pictures(course, begun.places, _vae_of(course, shots[0]) or refiner.vae, latents):
                    pass
                _note_batch(course, begun.places, began)

    def _group(self, course: _Course, model: Model, places: list[int]) -> None:
        """Shots that differ in text and seed alone."""
        shot = course.job.shots[places[0]]
        files, loaded = course.job.files, course.addons
        networks = [
            (loaded[addon.file], addon.strength, addon.text_strength)
            for addon in shot.addons
            if files[addon.file].role in (LORA, HYPERNETWORK)
        ]
        embeddings = _embeddings(course, shot)
        vae = _vae_of(course, shot) or model.vae
        _tell(course, model, shot)
        with applied(model, networks), _as_before(model, vae), torch.inference_mode():
            with course.timed("encode"):
                texts = self._residence.texts(course.job, shot, _texts_of(course.job, places), embeddings)
            for alike in _of_one_length(course.job, places, texts):
                self._alike(course, model, alike, texts)

    def _alike(self, course: _Course, model: Model, places: list[int], texts: dict[str, Encoded]) -> None:
        """Shots whose texts are of one length, too: as many at once as memory holds."""
        shot = course.job.shots[places[0]]
        size = BatchSize(self.device, shot.width * shot.height, lambda: _peak(course.job, model, places[0], texts))
        pending = list(places)
        model.fast = _fast(course, model, places, texts)
        while pending:
            if course.cancelled():
                raise Cancelled
            batch = pending[: size.now]
            try:
                for place in self._batch(course, model, batch, texts):
                    pending.remove(place)
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_memory(error) or not size.halve(len(batch)):
                    raise
            let_go()  # outside of the except clause, which holds on to all that the failed batch had made
            course.note(f"{len(batch)} pictures of {shot.width}x{shot.height} at once do not fit into memory: {size.now} are made at once.")

    def _batch(self, course: _Course, model: Model, places: list[int], texts: dict[str, Encoded]) -> Iterator[int]:
        """Samples and decodes one batch; gives each place as soon as its picture was told."""
        began = time.monotonic()
        shot = course.job.shots[places[0]]
        refiner = refiner_of(course.job, shot)
        with course.timed("sample"):
            walk = _walked(course, model, places, texts, None if refiner is None else switch_time(model))
        if refiner is None:
            yield from _tell_pictures(course, places, model.vae, walk.latents)
        else:
            course.begun.setdefault(refiner, []).append(Begun(places, walk, _embeddings(course, shot)))
            yield from places
        _note_batch(course, places, began)

    def _about(self, model: Model) -> dict[str, Any]:
        return {
            "renderer": RENDERER_VERSION,
            "versions": VERSIONS,
            "device": torch.cuda.get_device_name() if self.device == "cuda" else "cpu",
            "dtype": str(model.dtype).removeprefix("torch."),
            "family": model.architecture.family,
            "prediction": model.prediction,
        }


def _fast(course: _Course, model: Model, places: list[int], texts: dict[str, Encoded]) -> Any:
    """Compiled code for these shots, if it is there and pays. Texts of two lengths are two calls a step, and hypernetworks other code."""
    job, shot = course.job, course.job.shots[places[0]]
    guided = shot.cfg_scale > 1
    tokens = texts[shot.prompt].length
    networks = any(job.files[addon.file].role == HYPERNETWORK and addon.strength for addon in shot.addons)
    if networks or (guided and texts[shot.negative_prompt].length != tokens):
        return None
    size = (shot.height // FACTOR, shot.width // FACTOR)
    return fast_unet(model, size, tokens, shot.steps * len(places) * (1 + guided), course.note)


def _facts(course: _Course) -> dict[str, Any]:
    return {
        **course.facts,
        "seconds": {what: round(seconds, 3) for what, seconds in course.seconds.items()},
        "batches": course.batches,
    }


def _embeddings(course: _Course, shot: Shot) -> list[Any]:
    return [course.addons[addon.file] for addon in shot.addons if course.job.files[addon.file].role == EMBEDDING]


def _vae_of(course: _Course, shot: Shot) -> Any:
    """The VAE that a shot names last; None where it names none."""
    return next((course.addons[addon.file] for addon in reversed(shot.addons) if course.job.files[addon.file].role == VAE), None)


def _tell_pictures(course: _Course, places: Sequence[int], vae: Any, latents: torch.Tensor) -> Iterator[int]:
    """Decodes latents; gives each place as soon as its picture was told."""
    with course.timed("decode"):
        for place, one in zip(places, develop(vae, latents, course.note), strict=True):
            if one.png:
                data = {"width": one.width, "height": one.height}
                course.emit(Event("picture", shots=(place,), png=one.png, data=data))
            else:
                course.emit(Event("unfit", shots=(place,), code=one.code, note=one.sentence))
            yield place


def _note_batch(course: _Course, places: Sequence[int], began: float) -> None:
    shot = course.job.shots[places[0]]
    sizes = {"pictures": len(places), "width": shot.width, "height": shot.height, "steps": shot.steps}
    course.batches.append({**sizes, "seconds": round(time.monotonic() - began, 3)})


def _step(course: _Course, places: Sequence[int], step: int) -> None:
    course.step(places, step, course.job.shots[places[0]].steps)


def _walked(course: _Course, model: Model, places: list[int], texts: dict[str, Encoded], below: float | None) -> Walk:
    """A batch as far as this model takes it: to its end, or to a training step below which another goes on."""
    shots = [course.job.shots[place] for place in places]
    guided = _guided(model, shots, texts)
    noise = PictureNoise([one.seed for one in shots], _latent_shape(model, shots[0]), model.device)
    walk = Walk(_run(model, shots[0]), noise)
    walk.go(guided, below=below, done=partial(_step, course, places), cancelled=course.cancelled)
    return walk


def _run(model: Model, shot: Shot) -> Run:
    if model.architecture.is_flow:
        return flow_run(model, shot)
    config = {**model.scheduler_config, "prediction_type": model.prediction}
    return build(shot.sampler, shot.schedule, shot.steps, config, sdxl=model.architecture.is_sdxl, device=str(model.device))


def _guided(model: Model, shots: Sequence[Shot], texts: dict[str, Encoded]) -> Guided | FlowGuided:
    positives = [texts[shot.prompt] for shot in shots]
    silent = model.architecture.is_sdxl  # SDXL was trained with zeros for no text; A1111 gives them to an empty negative prompt alone
    negatives = [
        texts[shot.negative_prompt].silent() if silent and not shot.negative_prompt else texts[shot.negative_prompt]
        for shot in shots
        if shot.cfg_scale > 1
    ]
    if model.architecture.is_flow:
        return FlowGuided(model, positives, negatives, shots[0].cfg_scale)
    return Guided(model, positives, negatives, shots[0].cfg_scale, shots[0].width, shots[0].height)


def _latent_shape(model: Model, shot: Shot) -> tuple[int, int, int]:
    channels = model.architecture.latent_channels
    return channels, shot.height // FACTOR, shot.width // FACTOR


def _texts_of(job: Job, places: Sequence[int]) -> Iterator[str]:
    for place in places:
        yield job.shots[place].prompt
        if job.shots[place].cfg_scale > 1:
            yield job.shots[place].negative_prompt


def _of_one_length(job: Job, places: Sequence[int], texts: dict[str, Encoded]) -> list[list[int]]:
    """A longer text needs a longer context: padding the others to it would change their pictures by their neighbours."""
    lengths: dict[tuple[int, int], list[int]] = {}
    for place in places:
        shot = job.shots[place]
        unwanted = texts[shot.negative_prompt].length if shot.cfg_scale > 1 else 0
        lengths.setdefault((texts[shot.prompt].length, unwanted), []).append(place)
    return list(lengths.values())


def _peak(job: Job, model: Model, place: int, texts: dict[str, Encoded]) -> int:
    """Bytes that one picture takes on the GPU at its peak, found by one call of the UNet and one of the decoder."""
    shot = job.shots[place]
    noise = PictureNoise([shot.seed], _latent_shape(model, shot), model.device).first()
    guided = _guided(model, [shot], texts)
    sampling = peak_bytes(lambda: guided(noise, torch.tensor(500.0, device=model.device)))
    return max(sampling, peak_bytes(lambda: list(develop(model.vae, noise, lambda sentence: None))))


def _tell(course: _Course, model: Model, shot: Shot) -> None:
    """What will not be as somebody may expect it."""
    sampler = SAMPLERS[resolve(shot.sampler, shot.schedule).sampler]
    own = [f"{sampler.name}: {sampler.note}"] if sampler.note else []
    for sentence in flow_notes(model) if model.architecture.is_flow else own:
        course.note(sentence)
    for text in (shot.prompt, shot.negative_prompt):
        for sentence in parse(text).notes:
            course.note(sentence)
    for addon in shot.addons:
        share = getattr(course.addons.get(addon.file), "share", None)
        course.note(share.sentence() if share is not None else "")


@contextmanager
def _as_before(model: Model, vae: Any) -> Iterator[None]:
    """The model with another autoencoder while it lasts; afterwards with its own, and without compiled code that has its weights of now."""
    own, model.vae = model.vae, vae
    try:
        yield
    finally:
        model.vae, model.fast = own, None
