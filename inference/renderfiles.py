"""Which stored file is rendered in which role: the safetensors file of a version, by whom it may be named, and what its tensors show.

It opens no bytes: everything is asked of the database. Asked when a render is wanted, and again when a worker begins it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings

from inference.diffusion import jobs, t5folder
from inference.diffusion.families import Architecture, describe
from inference.twins import CONTAINER, copy_of
from inference.weights.recipe import twin_recipe
from registry import panel, queries
from registry.formats.directory import TensorDirectory
from registry.identify import fitting
from registry.models import Blob, File, Role, User, Version
from registry.names import stem_of
from registry.refusals import Refusal

ROLES = {
    "checkpoint": jobs.CHECKPOINT,
    "unet": jobs.CHECKPOINT,
    "vae": jobs.VAE,
    "lora": jobs.LORA,
    "embedding": jobs.EMBEDDING,
    "hypernetwork": jobs.HYPERNETWORK,
}
"""Kind that the tensors prove -> what the file is to a render. Of every other kind the hub makes no pictures."""
T5_FAMILIES, T5_WITHIN = ("SD 3", "Flux.1"), "text_encoders.t5xxl."
"""What the tensors of checkpoints prove that hear T5, and where it lies in those that bring it."""
REFINER_FAMILY, REFINED_FAMILY = "SDXL Refiner", "SDXL"
"""What the tensors of a refiner prove, and the family of what it goes on with."""


class NoWeights(Refusal):
    """This file or version cannot be rendered, or not by this person."""


@dataclass(frozen=True)
class Weights:
    """A file that may be rendered, in its role."""

    file: File
    role: str

    @property
    def blob(self) -> Blob:
        """Its bytes. Raises `NoWeights` where there are none, which `checked` rules out."""
        if self.file.blob is None:
            raise NoWeights("render:not-ready", f"{self.file.name} has no bytes yet.")
        return self.file.blob

    @property
    def name(self) -> str:
        """The word by which prompts call it: the name of the uploaded file without its ending, as A1111 does."""
        uploaded = self.file.source if self.file.role == Role.DERIVED and _is_twin(self.file) else None
        return stem_of((uploaded or self.file).name).translate(_NO_TAG)

    @property
    def families(self) -> str:
        """What the tensors prove: "SD 1.x", "SD 3 / Flux.1"; "" where they tell nothing."""
        return str(self.blob.detected.get("family") or "")

    @cached_property
    def directory(self) -> TensorDirectory:
        """Where its tensors lie. Raises `NoWeights` where no scan has told that, `TooMany` for more than any model has."""
        found = panel.scanned(self.blob)
        if found is None:
            raise NoWeights("render:no-tensors", f"The scan of {self.file.name} found no tensors, so it cannot be rendered.")
        return found

    @property
    def base_family(self) -> str:
        """The family of the checkpoints that this is rendered on."""
        return REFINED_FAMILY if self.role == jobs.REFINER else self.families

    def fit(self, checkpoint: Weights) -> fitting.Fit:
        """Whether this add-on fits a checkpoint, by names and shapes; a refiner by its family."""
        if self.role == jobs.REFINER:
            return _refiner_fit(checkpoint)
        return fitting.fits(self.directory, checkpoint.directory)

    def to_json(self) -> dict[str, Any]:
        """A row of `Render.files`: the fields of `JobFile`, and the file's id."""
        autov3 = self.blob.hash_values().get("AutoV3", "").lower()
        told = {"role": self.role, "name": self.name, "sha256": self.blob.sha256, "size_bytes": self.blob.size_bytes, "autov3": autov3}
        return {**told, "file": self.file.pk, **({"t5_bytes": self._t5_bytes} if self._hears_t5 else {})}

    @property
    def _hears_t5(self) -> bool:
        """Whether it is a checkpoint whose pictures depend on whether the hub has T5."""
        return self.role == jobs.CHECKPOINT and any(family in T5_FAMILIES for family in self.families.split(" / "))

    @property
    def _t5_bytes(self) -> int:
        """Of the hub's T5 that is loaded beside it; 0 where there is none, or the checkpoint holds its own."""
        own = any(str(entry.path[0]).startswith(T5_WITHIN) for entry in self.directory)
        return 0 if own else t5folder.size_bytes(Path(settings.T5_DIR) if settings.T5_DIR else None)


def _refiner_fit(checkpoint: Weights) -> fitting.Fit:
    if architecture(checkpoint).family == "sdxl":
        return fitting.Fit(True, "This refiner goes on with what the base begins.", 1.0, 1, 1)
    return fitting.Fit(False, f"A refiner finishes what an SDXL base model has begun, and {checkpoint.file.name} is none.", parts=1)


def needed_bytes(files: Iterable[Mapping[str, Any]]) -> int:
    """Bytes of weights that a worker must have room for at once, of rows of `Render.files`: a refiner takes the place of the rest."""
    by_stage = {True: 0, False: 0}
    for file in files:
        by_stage[file["role"] == jobs.REFINER] += file["size_bytes"] + file.get("t5_bytes", 0)
    return max(by_stage.values())


def architecture(checkpoint: Weights, prediction: str | None = None) -> Architecture:
    """What is built for a checkpoint. Raises FormatError `render:...` for what cannot be rendered, with the reason."""
    directory = checkpoint.directory
    shapes = {".".join(map(str, entry.path)): entry.shape for entry in directory}
    return describe(shapes, directory.metadata, prediction)


def native_size(checkpoint: Weights, addons: Iterable[Weights], prediction: str | None = None) -> int:
    """Pixels of a side of a picture of its family. Raises FormatError for a checkpoint that cannot be rendered with these add-ons."""
    found = architecture(checkpoint, prediction)
    if not found.has_vae and not any(one.role == jobs.VAE for one in addons):
        raise NoWeights(
            "render:no-vae", f"{checkpoint.file.name} holds no VAE, so it makes no pictures by itself. Name one to render it with."
        )
    return found.native_size


_NO_TAG = str.maketrans(":<>(),\n", "_______")
"""Signs that would end a tag or a weighted word in a prompt."""


def _is_twin(file: File) -> bool:
    return twin_recipe().to_json().items() <= file.recipe.items()


def of_version(version: Version) -> Weights:
    """The file whose pictures stand for a version. Raises `NoWeights`, which says why none of its files makes any.

    An uploaded safetensors file comes before the twin of a pickle, and that before a smaller variant: it is what the creator gave.
    """
    files = list(version.files.select_related("blob", "source", "version__entry__owner"))
    readable = [file for file in files if _can_be_read(file)]
    known = [Weights(file, role) for file in readable if (role := role_of(file))]
    if not known:
        raise _reason(version, files, readable)
    return min(known, key=lambda one: (_kind(one.file) != version.entry.kind, _distance(one.file), one.file.pk))


def _can_be_read(file: File) -> bool:
    return file.downloadable and file.blob is not None and file.blob.container == CONTAINER


def _kind(file: File) -> str:
    return str(file.blob.detected.get("kind") or "") if file.blob else ""


def role_of(file: File) -> str | None:
    """What a file is to a render, as its tensors show; None for a kind that is not rendered."""
    role = ROLES.get(_kind(file))
    refines = role == jobs.CHECKPOINT and file.blob is not None and file.blob.detected.get("family") == REFINER_FAMILY
    return jobs.REFINER if refines else role


def _distance(file: File) -> int:
    if file.role == Role.UPLOADED:
        return 0
    return 1 if _is_twin(file) else 2


def _reason(version: Version, files: list[File], readable: list[File]) -> NoWeights:
    """Why a version has nothing to render."""
    if version.gone:
        return NoWeights("render:withdrawn", "This version was withdrawn or deleted.")
    if readable:
        kind = (_kind(readable[0]) or "unknown").replace("_", " ")
        return NoWeights("render:kind", f"This hub renders no files of this kind ({kind}).")
    if not any(file.downloadable for file in files):
        return NoWeights("render:not-ready", "No file of this version is ready yet. Pictures are made of files that were found clean.")
    return NoWeights("render:not-safetensors", "Only safetensors files are rendered, and this version has none, nor a copy in that form.")


def find(user: User, wanted: Mapping[str, Any], *, what: str = "version_id") -> Weights:
    """The file that this user names as {"version_id": n} or {"file_id": n}.

    Raises `NoWeights` `not_found` (404) for what this user may not see, else with the reason why it cannot be rendered.
    """
    if wanted.get("file_id") is not None:
        found = _file(user, int(wanted["file_id"]))
    else:
        found = _version(user, wanted.get("version_id"))
    if found is None:
        raise NoWeights("not_found", f"{what}: there is no such file or version, or it is not yours to see.", 404)
    return found


def _file(user: User, pk: int) -> Weights | None:
    file = File.objects.select_related("blob", "source", "version__entry__owner").filter(pk=pk).first()
    return checked(file) if file is not None and readable_by(user, file) else None


def _version(user: User, pk: Any) -> Weights | None:
    version = queries.readable_versions(user).select_related("entry__owner").filter(pk=pk).first() if pk is not None else None
    if version is None:
        return None
    if version.gone:
        raise NoWeights("render:withdrawn", f"{version} was withdrawn or deleted, so nothing is rendered of it.")
    return of_version(version)


def readable_by(user: User, file: File) -> bool:
    """Whether this person may see a file, and has an account that is not closed."""
    return user.is_active and queries.may_see_file(user, file)


def checked(file: File) -> Weights:
    """A file as weights if its bytes may be loaded, else its safetensors copy. Raises `NoWeights` with the reason."""
    if file.version.gone:
        raise NoWeights("render:withdrawn", f"{file.name} was withdrawn or deleted, so it cannot be rendered.")
    loaded = file if _can_be_read(file) else copy_of(file)
    if loaded is None and not file.downloadable:
        text = f"{file.name} cannot be rendered: it is {file.state}. Only files that were found clean and are ready can be."
        raise NoWeights("render:not-ready", text)
    if loaded is None:
        raise NoWeights(
            "render:not-safetensors", f"{file.name} is no safetensors file and has no safetensors copy, so it cannot be rendered."
        )
    role = role_of(loaded)
    if role is None:
        raise NoWeights("render:kind", f"{file.name} is of a kind that this hub does not render ({_kind(loaded) or 'unknown'}).")
    return Weights(loaded, role)
