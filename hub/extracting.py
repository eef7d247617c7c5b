"""The tensors of a suspicious file as safetensors, while the file itself stays sealed: who may ask, when, and why not. One rule for
pages and programs.
"""

from __future__ import annotations

from django.db import transaction

from hub.retrying import NoRetry
from inference.models import Derivative
from inference.weights.recipe import twin_recipe
from registry import lifecycle, queries
from registry.lifecycle import DerivativeState, FileState
from registry.models import File, Role, TensorIndex, User, Verdict

RECIPE = twin_recipe().to_json()


class NoExtract(NoRetry):
    """Nothing can be extracted from this file, or not for this person."""


def why_not(user: User, file: File) -> NoExtract | None:
    """Why this person cannot have the tensors of this file extracted, or None. For buttons and for `extract`."""
    if not queries.may_edit(user, file.version.entry):
        return NoExtract("extract:not-yours", "Only the file's creator or a moderator can have its tensors extracted.", 403)
    blob = file.blob
    if blob is None or blob.verdict != Verdict.SUSPICIOUS or file.role != Role.UPLOADED:
        return NoExtract(
            "extract:not-suspicious", "Tensors are extracted from uploaded files that the scanner calls suspicious; this is none."
        )
    if file.state not in {FileState.QUARANTINED, FileState.DANGER}:
        return NoExtract("extract:not-held", f"This file is {file.state}: its safetensors copy is made without being asked for.")
    if not blob.stored:
        return NoExtract("extract:no-bytes", "The bytes of this file are not here any more. Upload it again.")
    if not TensorIndex.objects.filter(blob=blob).exists():
        return NoExtract("extract:no-tensors", "The scanner found no tensors in this file, so there is nothing to extract.")
    return None


def extract(user: User, file: File) -> Derivative:
    """Want the tensors of a sealed file as safetensors; what is wanted or made already stays as it is. Raises `NoExtract`.

    What is made is a file like any other: queued, judged and ready by its own bytes.
    """
    refusal = why_not(user, file)
    if refusal:
        raise refusal
    if file.blob is None or not file.blob.tensor_index.directory.tensors:
        raise NoExtract("extract:no-tensors", "The scanner found no tensors in this file, so there is nothing to extract.")
    try:
        with transaction.atomic():
            derivative, new = Derivative.objects.get_or_create(source=file, recipe=RECIPE)
            return lifecycle.born(derivative) if new else _once_more(derivative)
    except lifecycle.LostRace:
        return Derivative.objects.get(source=file, recipe=RECIPE)


def _once_more(derivative: Derivative) -> Derivative:
    """Begin again where the last attempt came to nothing: it failed, or its file was refused or deleted."""
    lost = derivative.state == DerivativeState.MADE and made_from(derivative.source) is None
    if lost or derivative.state == DerivativeState.FAILED:
        return lifecycle.retry(derivative, DerivativeState.WANTED)
    return derivative


def made_from(file: File) -> File | None:
    """The safetensors file that holds all tensors of this one, however far its own life is; None where there is none."""
    whole = File.objects.filter(source=file, role=Role.DERIVED, recipe__contains=RECIPE)
    return whole.exclude(state=FileState.FAILED).select_related("blob").first()


def wanted_from(file: File) -> Derivative | None:
    """The extraction that was asked for, if it was: for its state and its error."""
    return Derivative.objects.filter(source=file, recipe=RECIPE).first()
