"""Makes files from files that were found clean: the safetensors twin of a pickle, and the variants worth having. From suspicious
ones, while they stay sealed, only what is asked for: tensors are copied by the scanner's directory, and no pickle is read.

What is made is a file like any other: it is queued, scanned and becomes ready by the same life as an upload.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from inference.models import Derivative
from inference.weights.convert import convert, derived_metadata
from inference.weights.offers import worthwhile
from inference.weights.outcome import CONVERTER_VERSION
from inference.weights.recipe import Recipe, twin_recipe, variant_suffix
from registry import intake, lifecycle, storage, timeline
from registry.formats.errors import FormatError
from registry.lifecycle import DerivativeState, FileState
from registry.models import Blob, File, Role, TensorIndex, Verdict
from registry.names import with_suffix

AS_THEY_ARE = frozenset({"safetensors", "gguf", "onnx", "npy", "npz", "bundle"})
"""Containers that are published as they were uploaded: safetensors already, or of a form that is no state dict of tensors."""


def needs_no_twin(file: File) -> bool:
    return file.blob is not None and file.blob.container in AS_THEY_ARE


def finish(file: File) -> None:
    """clean -> ready for what needs no twin; nothing to convert."""
    _become_ready(file)


def convert_twin(file: File) -> None:
    """Make the safetensors twin of a claimed pickle (state `converting`) and move it to ready. Raises `FormatError`."""
    make(file, twin_recipe(), step_name="convert")
    _become_ready(file)


@transaction.atomic
def _become_ready(file: File) -> None:
    """Ready and its variants wanted, both or neither."""
    lifecycle.advance(file, FileState.READY)
    timeline.mark(file, "ready")
    want_variants(file)


def want_variants(file: File) -> None:
    """Ask for the variants that are worth making of an upload; asking twice changes nothing."""
    if file.role != Role.UPLOADED or file.blob is None or not hasattr(file.blob, "tensor_index"):
        return
    for recipe in worthwhile(file.blob.tensor_index.directory):
        derivative, new = Derivative.objects.get_or_create(source=file, recipe=recipe.to_json())
        if new:
            lifecycle.born(derivative)


def make_derivative(derivative: Derivative) -> None:
    """Make a claimed variant (state `making`) and move it to made. Raises `FormatError`."""
    recipe = Recipe(**derivative.recipe)
    result, outcome = make(derivative.source, recipe, step_name=f"make {variant_suffix(recipe).lstrip('-')}")
    taken = result is not None and Derivative.objects.filter(result=result).exclude(pk=derivative.pk).exists()
    lifecycle.advance(derivative, DerivativeState.MADE, result=None if taken else result, outcome=outcome, error="", error_code="")


def make(source: File, recipe: Recipe, *, step_name: str) -> tuple[File, dict[str, Any]]:
    """Convert `source` by `recipe`; returns the derived file (or the one of this version with the same bytes) and what was compared."""
    blob = source.blob
    if blob is None or not TensorIndex.objects.filter(blob=blob).exists():
        raise FormatError("convert:no-tensors", "No tensors were found in this file, so there is nothing to convert.")
    if blob.verdict not in {Verdict.SUCCESS, Verdict.SUSPICIOUS}:
        raise FormatError("convert:not-judged", "The newest scan does not let anything be made from this file. Its report says why.")
    directory = blob.tensor_index.directory
    with (
        timeline.step(source, step_name, total_bytes=blob.size_bytes) as step,
        storage.local_path(blob) as path,
        storage.scratch_file(".safetensors") as target,
    ):
        metadata = derived_metadata(directory, recipe, source_sha256=blob.sha256)
        outcome = convert(path, directory, target, recipe, metadata=metadata, progress=step.scaled_progress)
        storage.place_file(target, outcome.hashes.sha256)
        made = _derived_file(source, recipe, intake.record_blob(outcome.hashes))
        step.note(f"{made.name}, {outcome.size_bytes:,} bytes")
    return made, outcome.to_json()


def _derived_file(source: File, recipe: Recipe, blob: Blob) -> File:
    """The row of a derived file, queued to be judged; the one that has these bytes already, where there is one."""
    same = File.objects.filter(version=source.version, blob=blob).exclude(state=FileState.FAILED).first()
    if same:
        return same
    fields = {
        "version": source.version,
        "role": Role.DERIVED,
        "source": source,
        "blob": blob,
        "size_bytes": blob.size_bytes,
        "recipe": {**recipe.to_json(), "converter": CONVERTER_VERSION},
        "state": FileState.QUEUED,
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
