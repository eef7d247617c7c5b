"""The texts that the hub writes into every tree: the model card, and for a checkpoint of a known family diffusers' configurations.

What its creator wrote at the same path wins over them. Whoever changes what comes out raises `GENERATOR_VERSION`, so that trees are
frozen anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db.models import QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import translation

from hub import pictures, repopaths
from hub.api.huggingface import cards, configs
from hub.api.huggingface.usage import Usage, lines
from inference import renderfiles
from inference.diffusion import jobs
from inference.diffusion.families import VELOCITY, Architecture
from inference.models import PreviewSettings, Shot
from inference.offered import strength_of
from registry.formats.errors import FormatError
from registry.models import File, Kind, Version
from registry.refusals import Refusal

GENERATOR_VERSION = 3
MAX_LOOKED_AT = 24
MAX_TRIED = 3
"""Checkpoints of a version whose tensors are looked at for configurations; variants of one model have the same shapes."""
ANYWHERE = "https://ADDRESS-OF-THIS-HUB"
CONFIGURED = "The folders beside it hold configurations without weights, in diffusers' layout: with `config=` nothing else is fetched."
NO_TOKENIZER = "The tokenizers are not among them: this hub was installed without CLIP's vocabulary."


@translation.override("en")
def texts(version: Version, files: list[File]) -> dict[str, bytes]:
    """Path -> content of every text that the hub writes for these downloadable files of a version. Blobs are expected to be loaded.

    In English whoever asks: the texts are kept under their digests.
    """
    places = repopaths.assign(files)
    placed = [(places[file.pk], file) for file in repopaths.ordered(files)]
    architecture = architecture_of(version, placed)
    layout = configs.layout(architecture) if architecture else {}
    usage = lines(_usage(version, placed, configs.PIPELINES.get(architecture.family, "") if architecture else ""))
    notes = [CONFIGURED] if layout else []
    notes += [NO_TOKENIZER] if layout and not configs.has_tokenizers() else []
    card = cards.readme(version, placed, usage, samples(version), notes)
    return {"README.md": card.encode(), **layout}


def also_from(version: Version) -> list[Any]:
    """What the texts are made from beside the entry, the version and its files: the owner's word on the prediction, and pictures.

    Asked at every reading of a tree: ids only.
    """
    told = PreviewSettings.objects.filter(version=version).values_list("prediction", flat=True).first()
    return [told, list(_newest_shots(version).values_list("pk", "picture_id")) if settings.PUBLIC_URL else []]


def also_from_each(versions: list[Version]) -> dict[int, list[Any]]:
    """`also_from` of several, by the version's id, in two queries."""
    told = dict(PreviewSettings.objects.filter(version__in=versions).values_list("version_id", "prediction"))
    shots: dict[int, list[Any]] = {version.pk: [] for version in versions}
    if settings.PUBLIC_URL:
        numbered = Window(RowNumber(), partition_by="render__version", order_by=["-render_id", "place"])
        rows = _shots().filter(render__version__in=versions).annotate(number=numbered).filter(number__lte=MAX_LOOKED_AT)
        for version, *row in rows.order_by("number").values_list("render__version", "pk", "picture_id"):
            shots[version].append(tuple(row))
    return {version.pk: [told.get(version.pk), shots[version.pk]] for version in versions}


def card_data(version: Version) -> dict[str, Any]:
    """The card's metadata as `cardData` shows it: that of README.md without pictures. No query where entry and tags are loaded."""
    return cards.card_data(version)


def architecture_of(version: Version, placed: Iterable[tuple[str, File]]) -> Architecture | None:
    """What the version's checkpoint is, by names and shapes as the scan wrote them down; None for what is none or not known."""
    if version.entry.kind != Kind.CHECKPOINT:
        return None
    files = [file for _, file in placed if file.blob and file.blob.container == renderfiles.CONTAINER]
    whole = [file for file in files if file.blob and file.blob.detected.get("kind") == "checkpoint"]
    for file in whole[:MAX_TRIED]:
        try:
            return _described(version, renderfiles.Weights(file, jobs.CHECKPOINT))
        except (FormatError, Refusal):
            continue
    return None


def _described(version: Version, weights: renderfiles.Weights) -> Architecture:
    """A person's word on the prediction comes first: the owner's for previews, then "768" in the base model that was declared."""
    told = PreviewSettings.objects.filter(version=version).values_list("prediction", flat=True).first()
    found = renderfiles.architecture(weights, told or None)
    if found.prediction is None and version.base_model.endswith(" 768"):
        return renderfiles.architecture(weights, VELOCITY)
    return found


def samples(version: Version) -> list[cards.Sample]:
    """Pictures of the version's newest previews that everybody may see; none where the hub does not know its own address."""
    if not settings.PUBLIC_URL:
        return []
    shots = _newest_shots(version).select_related("picture", "render")
    root = settings.PUBLIC_URL.rstrip("/")
    found = [
        cards.Sample(str(shot.spec.get("prompt", "")), root + pictures.original(shot.picture, version.entry.slug))
        for shot in shots
        if shot.picture and strength_of(shot.spec.get("addons"), alone=shot.render.base_id is None)
    ]
    return found[: cards.MAX_WIDGETS]


def _newest_shots(version: Version) -> QuerySet[Shot]:
    return _shots().filter(render__version=version).order_by("-render_id", "place")[:MAX_LOOKED_AT]


def _shots() -> QuerySet[Shot]:
    return pictures.shown_to_all().filter(picture__isnull=False)


def _usage(version: Version, placed: list[tuple[str, File]], pipeline: str) -> Usage:
    entry = version.entry
    path = next((path for path, file in placed if file.blob and file.blob.container == renderfiles.CONTAINER), "")
    return Usage(
        f"{entry.owner.username}/{entry.slug}", version.branch, entry.kind, path, settings.PUBLIC_URL.rstrip("/") or ANYWHERE,
        pipeline, tuple(version.trigger_words), version.weight,
    )  # fmt: skip
