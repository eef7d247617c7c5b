"""What stays in memory from one job to the next: one checkpoint, and the add-ons and texts that were last used with it. Renders nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from inference.diffusion.addons import load_addon
from inference.diffusion.batches import let_go
from inference.diffusion.conditioning import Encoded, encode
from inference.diffusion.embedding import Embedding
from inference.diffusion.families import describe
from inference.diffusion.flowfamilies import FLUX, SD3
from inference.diffusion.flowloading import load_flow
from inference.diffusion.flowtext import encode_flow
from inference.diffusion.jobs import CHECKPOINT, EMBEDDING, LORA, VAE, AddOn, Job, Shot
from inference.diffusion.loading import Model, load_model
from inference.diffusion.vaeconfig import vae_prefix
from inference.diffusion.weightfile import open_weights
from registry.formats.errors import FormatError, Unsupported

MAX_ADDONS, MAX_TEXTS = 8, 256
"""Kept beside a checkpoint: add-ons of a few hundred MB at most, and texts of 0.2 MB (SD 1.x) to 0.6 MB (SDXL) each."""
REFINER = "sdxl-refiner"
NO_REFINER = "A refiner finishes what a base model has begun and makes no pictures by itself. Render its base model instead."

NO_ADDONS = "Only VAEs are put on SD 3 and Flux here: LoRAs, embeddings and hypernetworks for them are not rendered yet."


class Residence:
    """Holds what was loaded on `device`. A checkpoint is known by its digest and by how it was read; another one takes its place."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._key: Hashable = None
        self._lent: str | None = None
        self._model: Model | None = None
        self._addons: OrderedDict[Hashable, Any] = OrderedDict()
        self._texts: OrderedDict[Hashable, Encoded] = OrderedDict()

    def model(self, job: Job, fds: Sequence[int], say: Callable[[str], None]) -> Model:
        """The checkpoint of the job, loaded unless it is here. `say` hears what is loaded. Raises FormatError."""
        own = job.files[0]
        if own.role != CHECKPOINT:
            raise FormatError("render:no-checkpoint", "A render needs a checkpoint to start from.")
        key = (own.sha256, job.prediction, bool(job.options.get("ema")))
        vae = next((place for place, file in enumerate(job.files) if file.role == VAE), None)
        lent = None if vae is None else job.files[vae].sha256
        if self._model is None or key != self._key or self._lent not in (None, lent):  # a VAE of another job is not this one's
            self._forget()
            say(own.name)
            self._model, borrowed = self._load(job, fds, vae)
            self._key, self._lent = key, lent if borrowed else None
        return self._model

    def addon(self, job: Job, place: int, fds: Sequence[int], say: Callable[[str], None]) -> Any:
        """The file at `place` as what it is to the model: Patch, Hypernetwork, Embedding or AutoencoderKL. Raises FormatError."""
        assert self._model is not None  # noqa: S101 (callers ask for the model first)
        file = job.files[place]
        if self._model.architecture.is_flow and file.role != VAE:
            raise Unsupported("render:addon-family", NO_ADDONS)
        key = (file.sha256, file.role, file.name if file.role == EMBEDDING else "")
        if key not in self._addons:
            say(file.name)
            self._addons[key] = load_addon(file, open_weights(fds[place]), self._model)
        self._addons.move_to_end(key)
        while len(self._addons) > MAX_ADDONS:
            self._addons.popitem(last=False)
        return self._addons[key]

    def texts(self, job: Job, shot: Shot, wanted: Iterable[str], embeddings: Sequence[Embedding]) -> dict[str, Encoded]:
        """The texts as the model hears them with the add-ons of this shot on it; those that are not known are encoded together."""
        assert self._model is not None  # noqa: S101 (callers ask for the model first)
        key = (shot.clip_skip, tuple(_acts_on_text(job, addon) for addon in shot.addons))
        wanted = list(dict.fromkeys(wanted))
        missing = [text for text in wanted if (key, text) not in self._texts]
        if missing and self._model.architecture.is_flow:
            self._texts |= {(key, text): one for text, one in encode_flow(self._model, missing).items()}
        elif missing:
            self._texts |= {(key, text): one for text, one in encode(self._model, missing, shot.clip_skip, embeddings).items()}
        found = {text: self._texts[key, text] for text in wanted}
        while len(self._texts) > MAX_TEXTS:
            self._texts.popitem(last=False)
        return found

    def _forget(self) -> None:
        self._model, self._key, self._lent = None, None, None
        self._addons.clear()
        self._texts.clear()
        let_go()

    def _load(self, job: Job, fds: Sequence[int], vae: int | None) -> tuple[Model, bool]:
        """The checkpoint, and whether it has no VAE of its own and took the one at this place of the job."""
        weights = open_weights(fds[0])
        family = describe(weights.shapes, weights.metadata, job.prediction).family
        if family == REFINER:
            raise FormatError("render:refiner", NO_REFINER)
        lent = open_weights(fds[vae]) if vae is not None and vae_prefix(weights.shapes) is None else None
        if family in (SD3, FLUX):
            return load_flow(weights, device=self._device, vae=lent), lent is not None
        ema = bool(job.options.get("ema"))
        return load_model(weights, device=self._device, prediction=job.prediction, ema=ema, vae=lent), lent is not None


def _acts_on_text(job: Job, addon: AddOn) -> Hashable:
    """What of an add-on changes how texts are heard."""
    file = job.files[addon.file]
    if file.role == LORA:
        return file.sha256, addon.strength if addon.text_strength is None else addon.text_strength
    return (file.sha256, file.name) if file.role == EMBEDDING else None
