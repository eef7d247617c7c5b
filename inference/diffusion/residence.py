"""What stays in memory from one job to the next: one checkpoint, the add-ons and texts that were last used with it, and one refiner where
both have room. Renders nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from inference.diffusion.addons import load_addon
from inference.diffusion.batches import free_bytes, let_go
from inference.diffusion.conditioning import Encoded, encode
from inference.diffusion.embedding import Embedding
from inference.diffusion.families import describe
from inference.diffusion.flowfamilies import FLUX, SD3
from inference.diffusion.flowloading import load_flow
from inference.diffusion.flowtext import encode_flow
from inference.diffusion.jobs import CHECKPOINT, EMBEDDING, LORA, VAE, AddOn, Job, Shot
from inference.diffusion.loading import Model, load_model
from inference.diffusion.refining import FAMILY as REFINER
from inference.diffusion.refining import NO_REFINER
from inference.diffusion.vaeconfig import vae_prefix
from inference.diffusion.weightfile import WeightFile, open_weights
from registry.formats.errors import FormatError, Unsupported

MAX_ADDONS, MAX_TEXTS = 8, 256
"""Kept beside a checkpoint: add-ons of a few hundred MB at most, and texts of 0.2 MB (SD 1.x) to 0.6 MB (SDXL) each."""
CPU_BESIDE, GPU_SPARE = 1 << 30, 2
"""Base and refiner stay beside each other on a CPU if their files are no larger than this together, and on a GPU where that is free twice
which the second one takes: the rest is for pictures. Else one makes way for the other."""

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
        self._refiner: tuple[Hashable, Model] | None = None
        self._refined_bytes = 0

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
            if self._refiner is not None and not self._room(own.size_bytes, own.size_bytes + self._refined_bytes):
                self._forget_refiner()
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

    def refiner(self, job: Job, place: int, fds: Sequence[int], say: Callable[[str], None]) -> Model:
        """The refiner at `place`, loaded unless it is here. Whoever has no further use for the job's checkpoint calls this with no hold on
        it: it is let go where both have no room. Raises FormatError.
        """
        own, base = job.files[place], job.files[0]
        key = own.sha256, base.sha256
        if self._refiner is None or self._refiner[0] != key:
            self._forget_refiner()
            weights = open_weights(fds[place])
            if describe(weights.shapes, weights.metadata).family != REFINER:
                raise FormatError("render:refiner", f"{own.name} is no refiner of SDXL, so it cannot finish what another model has begun.")
            if not self._room(own.size_bytes, own.size_bytes + base.size_bytes):
                self._forget()
            say(own.name)
            self._refiner, self._refined_bytes = (key, self._loaded_refiner(weights, fds[0])), own.size_bytes
        return self._refiner[1]

    def _loaded_refiner(self, weights: WeightFile, base: int) -> Model:
        """With its own VAE, and only without one with that of the base."""
        return load_model(weights, device=self._device, vae=open_weights(base) if vae_prefix(weights.shapes) is None else None)

    def _room(self, needed: int, both: int) -> bool:
        """Whether weights of so many bytes go beside the ones that are here."""
        return free_bytes() >= GPU_SPARE * needed if self._device == "cuda" else both <= CPU_BESIDE

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
        held, self._model = self._model is not None, None
        self._key, self._lent = None, None
        self._addons.clear()
        self._texts.clear()
        if held:
            let_go()

    def _forget_refiner(self) -> None:
        held, self._refiner = self._refiner is not None, None
        self._refined_bytes = 0
        if held:
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
