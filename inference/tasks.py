"""Celery tasks of conversion and merging: take, claim, do, move on. Arguments are ids; what they do stands in `making` and `merges`."""

from __future__ import annotations

from celery import shared_task

from inference import making, merges
from inference.models import Derivative, Merge
from registry import lifecycle, work
from registry.lifecycle import DerivativeState, FileState, MergeState
from registry.models import File


@shared_task(name="inference.settle")
def settle(file_id: int) -> None:
    """clean -> ready (safetensors already, or a form without a twin), or clean -> converting -> ready (a pickle gets its twin)."""
    file = lifecycle.take(File, file_id, FileState.CLEAN)
    if file is None:
        return
    if not making.needs_no_twin(file):
        work.run(file, FileState.CONVERTING, making.convert_twin)
        return
    try:
        making.finish(file)
    except lifecycle.LostRace:
        return


@shared_task(name="inference.derive")
def derive(derivative_id: int) -> None:
    """wanted -> making -> made or failed, together with other variants of the same file that wait."""
    derivative = lifecycle.take(Derivative, derivative_id, DerivativeState.WANTED)
    if derivative:
        work.run_many(making.companions(derivative), DerivativeState.MAKING, making.make_derivatives)


@shared_task(name="inference.merge")
def merge(merge_id: int) -> None:
    """wanted -> merging -> made or failed; cancelled by its owner at any time before the end."""
    row = lifecycle.take(Merge, merge_id, MergeState.WANTED)
    if row:
        work.run(row, MergeState.MERGING, merges.work)
