"""Celery tasks of conversion: take, claim, do, move on. Arguments are ids; what they do stands in `making.py`."""

from __future__ import annotations

from celery import shared_task

from inference import making
from inference.models import Derivative
from registry import lifecycle, work
from registry.lifecycle import DerivativeState, FileState
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
