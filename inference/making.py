"""Makes files from files that were found clean: the safetensors twin of a pickle, and the variants worth having. From suspicious
ones, while they stay sealed, only what is asked for: tensors are copied by the scanner's directory, and no pickle is read.

What is made is a file like any other: it is queued, scanned and becomes ready by the same life as an upload.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from inference import previews
from inference.models import Derivative
from inference.weights.locked import Made as Converted
from inference.weights.locked import Wanted, convert_locked
from inference.weights.offers import worthwhile
from inference.weights.outcome import CONVERTER_VERSION
from inference.weights.recipe import Recipe, twin_recipe, variant_suffix
from registry import intake, lifecycle, storage, timeline
from registry.formats.errors import FormatError
from registry.lifecycle import DerivativeState, FileState
from registry.models import Blob, File, Role, TensorIndex, Verdict
from registry.names import with_suffix
from registry.work import Ending

AS_THEY_ARE = frozenset({"safetensors", "gguf", "onnx", "npy", "npz", "bundle"})
"""Containers that are published as they were uploaded: safetensors already, or of a form that is no state dict of tensors."""


def needs_no_twin(file: File) -> bool:
    return file.blob is not None and file.blob.container in AS_THEY_ARE


def finish(file: File) -> None:
    """clean -> ready for what needs no twin; nothing to convert."""
    _become_ready(file)


def convert_twin(file: File) -> None:
    """Make the safetensors twin of a claimed pickle (state `converting`) and move it to ready. Raises `FormatError`."""
    (made,) = make(file, [twin_recipe()], step_name="convert")
    if isinstance(made, FormatError):
        raise made
    _keep_outcome(file, made)
    _become_ready(file)


def _keep_outcome(file: File, made: Made) -> None:
    """The twin's report, in a row of its own that was never wanted: it was made with the file. An extraction's row stays as it is."""
    fields = {"state": DerivativeState.MADE, "outcome": made.outcome}
    row, _ = Derivative.objects.get_or_create(source=file, recipe=twin_recipe().to_json(), defaults=fields)
    if row.state == DerivativeState.MADE and not _taken(made.file, row):
        Derivative.objects.filter(pk=row.pk, state=DerivativeState.MADE).update(result=made.file, outcome=made.outcome)


@transaction.atomic
def _become_ready(file: File) -> None:
    """Ready and its variants wanted, both or neither; previews of its version are planned afterwards."""
    lifecycle.advance(file, FileState.READY)
    timeline.mark(file, "ready")
    want_variants(file)
    previews.want_later(file.version_id)


def want_variants(file: File) -> None:
    """Ask for the variants that are worth making of an upload; asking twice changes nothing."""
    if file.role != Role.UPLOADED or file.removed_at or file.blob is None or not hasattr(file.blob, "tensor_index"):
        return
    for recipe in worthwhile(file.blob.tensor_index.directory):
        derivative, new = Derivative.objects.get_or_create(source=file, recipe=recipe.to_json())
        if new:
            lifecycle.born(derivative)


TOGETHER = 4
"""Variants of one file that are made in one pass: until its end each holds a file in the scratch folder, as large as it will be."""


def companions(derivative: Derivative) -> list[Derivative]:
    """This wanted variant first, then others that wait to be made of the same file: its bytes are read once for them all.

    One that was begun before and came to nothing is made alone, lest it keep the others from being made.
    """
    if derivative.attempts:
        return [derivative]
    waiting = Derivative.objects.filter(source=derivative.source_id, state=DerivativeState.WANTED, attempts=0)
    return [derivative, *waiting.exclude(pk=derivative.pk)[: TOGETHER - 1]]


def make_derivatives(derivatives: list[Derivative]) -> list[Ending]:
    """Make claimed variants (state `making`) of one file in one pass; the endings move each to made. Raises `FormatError`."""
    source, recipes = derivatives[0].source, [Recipe(**derivative.recipe) for derivative in derivatives]
    made = make(source, recipes, step_name=_step_name(recipes))
    return [partial(_settle, derivative, one) for derivative, one in zip(derivatives, made, strict=True)]


def _step_name(recipes: Sequence[Recipe]) -> str:
    if len(recipes) > 1:
        return "make variants"
    suffix = variant_suffix(recipes[0]).lstrip("-")
    return f"make {suffix}" if suffix else "convert"


def _settle(derivative: Derivative, made: Made | FormatError) -> None:
    if isinstance(made, FormatError):
        raise made
    result = None if _taken(made.file, derivative) else made.file
    lifecycle.advance(derivative, DerivativeState.MADE, result=result, outcome=made.outcome, error="", error_code="")


def _taken(file: File, derivative: Derivative) -> bool:
    """Whether a file is the result of another variant: two that come out alike share it, and one of them has it."""
    return Derivative.objects.filter(result=file).exclude(pk=derivative.pk).exists()


@dataclass(frozen=True, slots=True)
class Made:
    """A derived file (or the one of its version that had the same bytes), and the converter's report on it."""

    file: File
    outcome: dict[str, Any]


def make(source: File, recipes: Sequence[Recipe], *, step_name: str) -> list[Made | FormatError]:
    """Convert `source` by each recipe in one pass over its bytes, in a locked child; what is wrong with one recipe only takes its place.

    Raises `FormatError` for what concerns them all.
    """
    blob = source.blob
    if blob is None or not TensorIndex.objects.filter(blob=blob).exists():
        raise FormatError("convert:no-tensors", "No tensors were found in this file, so there is nothing to convert.")
    if blob.verdict not in {Verdict.SUCCESS, Verdict.SUSPICIOUS}:
        raise FormatError("convert:not-judged", "The newest scan does not let anything be made from this file. Its report says why.")
    directory = blob.tensor_index.directory
    with timeline.step(source, step_name, total_bytes=blob.size_bytes) as step, ExitStack() as scratch:
        targets = [scratch.enter_context(storage.scratch_file(".safetensors")) for _ in recipes]
        wanted = [Wanted(target, recipe, source_sha256=blob.sha256) for target, recipe in zip(targets, recipes, strict=True)]
        stored = scratch.enter_context(storage.reader(blob))
        outcomes = convert_locked(stored, directory, wanted, progress=step.scaled_progress)
        made = [_keep(source, *row) for row in zip(wanted, outcomes, strict=True)]
        step.note("; ".join(map(_said, made)))
        if len(made) == 1 and isinstance(made[0], FormatError):
            raise made[0]
    return made


def _keep(source: File, wanted: Wanted, outcome: Converted | FormatError) -> Made | FormatError:
    if isinstance(outcome, FormatError):
        return outcome
    storage.place_file(wanted.target, outcome.hashes.sha256)
    overflow = int(outcome.report["losses"]["overflow"])
    try:
        return Made(_derived_file(source, wanted.recipe, intake.record_blob(outcome.hashes), overflow), outcome.report)
    except FormatError as refusal:
        return refusal


def _said(made: Made | FormatError) -> str:
    return made.sentence if isinstance(made, FormatError) else f"{made.file.name}, {made.file.size_bytes:,} bytes"


def _derived_file(source: File, recipe: Recipe, blob: Blob, overflow: int) -> File:
    """The row of a derived file, queued to be judged; the one that has these bytes already, where there is one.

    `overflow` counts the values that the cast made infinite; with any, lists warn of the file and never recommend it.
    """
    same = File.kept.filter(version=source.version, blob=blob).exclude(state=FileState.FAILED).first()
    if same:
        return same
    fields = {
        "version": source.version,
        "role": Role.DERIVED,
        "source": source,
        "blob": blob,
        "size_bytes": blob.size_bytes,
        "recipe": {**recipe.to_json(), "converter": CONVERTER_VERSION, **({"overflow": overflow} if overflow else {})},
        "state": FileState.QUEUED,
        "removed_at": source.removed_at,
    }
    suffix = variant_suffix(recipe)
    for name in (with_suffix(source.name, suffix), with_suffix(source.name, f"{suffix}-{blob.sha256[:8]}")):
        try:
            with transaction.atomic():
                return lifecycle.born(File.objects.create(name=name, **fields))
        except IntegrityError:
            continue
    raise FormatError(
        "convert:name-taken", f"This version has other files under the names that {source.name}'s variant would take. Rename one."
    )
