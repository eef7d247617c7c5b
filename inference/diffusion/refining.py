"""SDXL's refiner as the second stage over a base: what it goes on with, and its batches. The first stage, and decoding, are `render`'s.

An ensemble of experts, as SDXL's report has it (Podell et al. 2023, section 2.5) and A1111's and diffusers' refiners work: base and
refiner share the latents and the noise levels; the base takes the steps above training step 200, the refiner those below. It hears the
prompt by its own OpenCLIP alone, and is told size, crop and an aesthetic score (6 for what is wanted, 2.5 for what is not).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from inference.diffusion.batches import is_memory, let_go
from inference.diffusion.conditioning import encode
from inference.diffusion.embedding import Embedding
from inference.diffusion.guidance import Guided
from inference.diffusion.jobs import REFINER, SWITCH_AT, Job, Shot
from inference.diffusion.loading import Model
from inference.diffusion.sampling import Denoiser, Walk
from registry.formats.errors import FormatError

BASE_FAMILY, FAMILY = "sdxl", "sdxl-refiner"
NO_REFINER = "A refiner finishes what a base model has begun and makes no pictures by itself. Name an SDXL base to render it on."
OTHER_BASE = "A refiner finishes what an SDXL base model has begun, and this base is none. Name another base."
OTHER_PREDICTION = "The base predicts otherwise than the refiner (velocity or noise, another end of its noise levels). Name another base."
ONE_STEP = "A refiner needs a render of at least 2 steps: the last of them are its own."


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch that the base has brought as far as it goes: the shots' places, and the embeddings whose words stand in them."""

    places: list[int]
    walk: Walk
    embeddings: list[Embedding]


def refiner_of(job: Job, shot: Shot) -> int | None:
    """The place of the refiner in the job's files that finishes this shot."""
    return next((one.file for one in reversed(shot.addons) if job.files[one.file].role == REFINER), None)


def switch_time(model: Model) -> float:
    """The training step below which the refiner takes over."""
    trained = int(model.scheduler_config["num_train_timesteps"])
    return float(round(trained - SWITCH_AT * trained))


def check_refined(job: Job, base: Model) -> None:
    """Raises FormatError `render:refiner-base`, `render:steps` before anything is sampled, where no refiner could follow."""
    refined = [shot for shot in job.shots if refiner_of(job, shot) is not None]
    if refined and base.architecture.family != BASE_FAMILY:
        raise FormatError("render:refiner-base", OTHER_BASE)
    if any(shot.steps < 2 for shot in refined):
        raise FormatError("render:steps", ONE_STEP)


def check_alike(base: tuple[str, object], refiner: Model) -> None:
    """Raises FormatError `render:refiner-base` where (prediction, zero SNR) of the base are not the refiner's: they share one scheduler."""
    if base != about(refiner):
        raise FormatError("render:refiner-base", OTHER_PREDICTION)


def about(model: Model) -> tuple[str, object]:
    """What base and refiner must have in common."""
    return model.prediction, bool(model.scheduler_config.get("rescale_betas_zero_snr"))


def denoiser(refiner: Model, shots: Sequence[Shot], embeddings: Sequence[Embedding], note: Callable[[str], None]) -> Denoiser:
    """The refiner for a batch that was begun. An empty negative prompt is heard as text: its configuration (force_zeros_for_empty_prompt)
    says so."""
    texts = encode(refiner, [text for shot in shots for text in (shot.prompt, shot.negative_prompt)], 1, embeddings)

    def of(part: slice) -> Denoiser:
        few = shots[part]
        guided = few[0].cfg_scale > 1
        unwanted = [texts[shot.negative_prompt] for shot in few] if guided else []
        return Guided(refiner, [texts[shot.prompt] for shot in few], unwanted, few[0].cfg_scale, few[0].width, few[0].height)

    return Pieces(of, len(shots), note)


class Pieces:
    """A denoiser of a batch that cannot be made smaller any more: it calls for half as many at once where memory does not hold all."""

    def __init__(self, of: Callable[[slice], Denoiser], count: int, note: Callable[[str], None]) -> None:
        self._of, self._count, self._note = of, count, note
        self._size = count
        self._made: list[tuple[slice, Denoiser]] = []

    def __call__(self, latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        while True:
            try:
                self._made = self._made or [(part, self._of(part)) for part in self._parts()]
                return torch.cat([call(latents[part], time) for part, call in self._made])
            except (RuntimeError, MemoryError) as error:
                if not is_memory(error) or self._size == 1:
                    raise
            self._size //= 2
            self._made = []
            let_go()
            self._note(f"{self._count} pictures at once do not fit into memory beside the refiner: {self._size} are refined at once.")

    def _parts(self) -> list[slice]:
        return [slice(start, start + self._size) for start in range(0, self._count, self._size)]
