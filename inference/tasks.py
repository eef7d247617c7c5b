"""Celery tasks of conversion, merging and rendering: take, claim, do, move on. Arguments are ids; what they do stands in `making`, `merges`
and `rendering`. A worker that takes renders also reports itself from here.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import celeryd_after_setup, worker_process_init, worker_process_shutdown

from inference import making, merges, rendering, workers
from inference.models import Derivative, Merge
from registry import lifecycle, work
from registry.lifecycle import DerivativeState, FileState, MergeState, RenderState
from registry.models import File

RENDER_QUEUE = "gpu"


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


@shared_task(name="inference.render")
def render(render_id: int) -> None:
    """wanted -> rendering -> made or failed; cancelled by its owner at any time. What this worker cannot take stays wanted."""
    for row in rendering.in_turn(render_id):
        work.run(row, RenderState.RENDERING, rendering.work)


class _Reporter:
    """The heartbeat of this process, where it is one that takes renders."""

    worker = ""
    heart: workers.Heartbeat | None = None


@celeryd_after_setup.connect
def _remember(sender: str, instance: Any, **_: Any) -> None:
    """In the parent, before its processes are forked: which worker this is, if it takes renders at all."""
    _Reporter.worker = str(sender) if RENDER_QUEUE in instance.app.amqp.queues.consume_from else ""


@worker_process_init.connect
def _report(**_: Any) -> None:
    """In the process that does the work: it has the render child, so it knows the device."""
    if _Reporter.worker:
        _Reporter.heart = workers.Heartbeat(_Reporter.worker, rendering.facts)
        _Reporter.heart.start()


@worker_process_shutdown.connect
def _stop(**_: Any) -> None:
    if _Reporter.heart is not None:
        _Reporter.heart.stop()
        rendering.engine().stop()
