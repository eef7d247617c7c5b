"""Variants of a file on request: what can be asked for, by whom, when, and why not. One rule for pages and programs.

What is worth making unasked is `inference.weights.offers`'; this adds what the hub made of it already.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from hub.outcomes import warning_of
from hub.retrying import NoRetry
from inference.models import Derivative
from inference.weights.offers import Choices, Offer, choices
from inference.weights.recipe import Recipe, twin_recipe
from registry import lifecycle, panel, queries, uploads
from registry.formats.errors import FormatError
from registry.lifecycle import DerivativeState, FileState
from registry.models import File, TensorIndex, User

OPEN = (DerivativeState.WANTED, DerivativeState.MAKING)
OPEN_AT_ONCE = 12
"""Variants of one person's files that wait or are being made, beyond which none are asked for: each reads a whole file."""


class NoVariant(NoRetry):
    """This variant cannot be had, or not by this person, or not now."""


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer, and what became of it so far: the variant that was wanted and its file, where there are any."""

    offer: Offer
    derivative: Derivative | None = None
    file: File | None = None

    @property
    def state(self) -> str:
        """Empty where nobody wanted it yet, or it can be had again; else wanted, making, made or failed."""
        return self.derivative.state if self.derivative and not _lost(self.derivative, self.file) else ""

    @property
    def reason(self) -> str:
        """Why it is of use, or is not: what was foretold, until it was made and turned out to be damaged."""
        return (self.file and warning_of(self.file)) or self.offer.reason

    @property
    def open(self) -> bool:
        return self.state in {"", DerivativeState.FAILED}


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to a wish: the variant with its life, or the file that has these tensors already. `new`: somebody has to work for it."""

    recipe: Recipe
    derivative: Derivative | None
    file: File | None
    new: bool


def why_not(user: User, file: File) -> NoVariant | None:
    """Why this person can have no variants made of this file, or None. For the form and for `ask`."""
    if not queries.may_edit(user, file.version.entry):
        return NoVariant("variants:not-yours", "Only the file's creator or a moderator can have variants made of it.", 403)
    if file.source is not None:
        text = f"This file was made from {file.source.name} by the hub. Ask for variants of that one."
        return NoVariant("variants:derived", text)
    if file.version.gone:
        return NoVariant("variants:gone", "This version was withdrawn or deleted, so nothing more is made from its files.")
    if file.state != FileState.READY:
        return NoVariant("variants:not-ready", f"This file is {file.state}. Variants are made of files that are ready.")
    if not file.downloadable:
        return NoVariant("variants:not-served", "This file is not served at present, so nothing is made from it.")
    if not TensorIndex.objects.filter(blob=file.blob_id).exists():
        text = "Variants are made of safetensors files and torch checkpoints. The hub knows no tensors of this file."
        return NoVariant("variants:no-tensors", text)
    return None


def choices_of(file: File) -> Choices:
    """Every recipe's answer for a file that `why_not` has nothing against. Raises `NoVariant` where none can be worked out."""
    try:
        directory = panel.scanned(file.blob) if file.blob else None
        assert directory is not None  # noqa: S101  (`why_not` has seen it)
        return choices(directory)
    except FormatError as error:
        raise NoVariant(error.code, error.sentence) from None


def offered(file: File, found: Choices) -> list[Offered]:
    """The offers among the answers for a file, each with what became of it."""
    rows = Derivative.objects.filter(source=file).select_related("result__blob", "result__version__entry")
    wanted = {(row.recipe.get("keep"), row.recipe.get("precision")): row for row in rows}
    fates = [(offer, wanted.get((offer.recipe.keep, offer.recipe.precision))) for offer in found.offers]
    return [Offered(offer, row, _file_of(file, offer.recipe, row) if row else None) for offer, row in fates]


def ask(user: User, file: File, recipe: Recipe) -> Asked:
    """Want a variant. What is there or under way already is the answer as it is; what failed or was lost begins again.

    Raises `NoVariant`: `why_not`'s, the sentence of `offers` for what is of no use, too many at once (429), no room on the disk (507).
    """
    refusal = why_not(user, file)
    if refusal:
        raise refusal
    found = choices_of(file)
    wanted = found.same.get(recipe, recipe)
    if wanted in found.refused:
        raise NoVariant(found.refused[wanted].code, found.refused[wanted].sentence)
    if wanted == twin_recipe() and not _has_twin(file):
        return Asked(wanted, None, file, new=False)
    size = next((offer.size_bytes for offer in found.offers if offer.recipe == wanted), file.size_bytes)
    try:
        with transaction.atomic():
            return _want(file, wanted, size)
    except lifecycle.LostRace:
        derivative = Derivative.objects.get(source=file, recipe=wanted.to_json())
        return Asked(wanted, derivative, _file_of(file, wanted, derivative), new=False)


def _want(file: File, recipe: Recipe, size_bytes: int) -> Asked:
    owner = User.objects.select_for_update().get(pk=file.version.entry.owner_id)
    derivative = Derivative.objects.filter(source=file, recipe=recipe.to_json()).select_related("result").first()
    there = _file_of(file, recipe, derivative)
    if derivative is None and there is not None:
        return Asked(recipe, None, there, new=False)
    if derivative is not None and not _lost(derivative, there) and derivative.state != DerivativeState.FAILED:
        return Asked(recipe, derivative, there, new=False)
    _check_room(owner, size_bytes)
    if derivative is None:
        row = lifecycle.born(Derivative.objects.create(source=file, recipe=recipe.to_json()))
        return Asked(recipe, row, None, new=True)
    return Asked(recipe, lifecycle.retry(derivative, DerivativeState.WANTED), None, new=True)


def _check_room(owner: User, size_bytes: int) -> None:
    if Derivative.objects.filter(source__version__entry__owner=owner, state__in=OPEN).count() >= OPEN_AT_ONCE:
        text = f"{OPEN_AT_ONCE} variants of your files wait or are being made. Ask again when some are done."
        raise NoVariant("variants:too-many", text, 429)
    try:
        uploads.check_room(size_bytes)
    except uploads.Refused:
        text = f"The hub's disk has no room for {size_bytes:,} more bytes. Tell the admin and try again later."
        raise NoVariant("variants:disk-full", text, 507) from None


def _has_twin(file: File) -> bool:
    """Whether the file itself is in another form than its twin: a pickle."""
    return file.blob is not None and file.blob.container != "safetensors"


def _file_of(file: File, recipe: Recipe, derivative: Derivative | None) -> File | None:
    """The file that was made by this recipe, however far its own life is; None where there is none."""
    if derivative is not None and derivative.result is not None:
        return None if derivative.result.state == FileState.FAILED else derivative.result
    made = File.objects.filter(source=file, recipe__contains=recipe.to_json())
    return made.exclude(state=FileState.FAILED).select_related("blob", "version__entry").first()


def _lost(derivative: Derivative, file: File | None) -> bool:
    """Made once, but its file was refused or deleted since."""
    return derivative.state == DerivativeState.MADE and file is None
