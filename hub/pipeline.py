"""What each state sets in motion, as one table, and the sweep that finds what a broker lost or a dead worker dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from hub.celery import app
from inference import workers
from inference.models import Derivative, Merge, Render
from registry import lifecycle, schedule, uploads
from registry.lifecycle import DerivativeState, FileState, ImageState, MergeState, RenderState, RescanState
from registry.models import File, UserImage
from scanner.models import Rescan

log = logging.getLogger(__name__)


FIRST, LATER, LAST = 0, 6, 9
"""Priorities of messages in one queue, as kombu counts them on a Redis broker: a worker takes every 0 before any 6, and those before 9."""


@dataclass(frozen=True)
class Stage:
    """The task that a state calls for, the queue whose workers do it, and whether others in that queue go first.

    `fit` says which of the waiting rows any worker could take now: of the others nobody is told again.
    """

    task: str
    queue: str
    priority: int = FIRST
    fit: Callable[[], Q] | None = None


TABLE: dict[tuple[type, str], Stage] = {
    (File, FileState.QUEUED): Stage("scanner.examine", "cpu"),
    (File, FileState.CLEAN): Stage("inference.settle", "cpu"),
    (File, FileState.DANGER): Stage("scanner.seal", "cpu"),
    (Derivative, DerivativeState.WANTED): Stage("inference.derive", "cpu"),
    (Merge, MergeState.WANTED): Stage("inference.merge", "cpu", LATER),
    (Render, RenderState.WANTED): Stage("inference.render", "gpu", fit=workers.renderable_now),
    (UserImage, ImageState.RECEIVED): Stage("hub.check_image", "cpu"),
    (Rescan, RescanState.WANTED): Stage("scanner.rescan", "cpu", LAST),
}
LIVES = (File, Derivative, Merge, Render, UserImage, Rescan)

SEND_AGAIN_AFTER = timedelta(seconds=45)
"""A row that still waits this long after a worker was told of it is sent again: within a minute, as promised."""
BATCH = 50
"""Rows sent again per sweep, and the queue length above which none are: copies must not flood a busy queue."""


def connect() -> None:
    """Listen to moves: each nudges a worker when its transaction commits."""
    lifecycle.moved.connect(_on_move, dispatch_uid="hub.pipeline")


def _on_move(sender: type, row: Any, **_: Any) -> None:
    if (sender, row.state) in TABLE and row.send_after is None:
        transaction.on_commit(partial(nudge, sender, row.pk, row.state))


def nudge(model: type, pk: int, state: str) -> bool:
    """Tell a worker that a row waits. False when the broker is away: the sweep will tell again, so nothing is lost."""
    stage = TABLE[model, state]
    try:
        app.send_task(stage.task, args=[pk], queue=stage.queue, priority=stage.priority, retry=False)
    except Exception as error:  # whatever a broker client raises: a nudge may fail, the request may not
        log.warning("broker away, %s %s waits for the sweep: %s", model.__name__, pk, error)
        return False
    model.objects.filter(pk=pk, state=state).update(send_after=timezone.now() + SEND_AGAIN_AFTER)  # type: ignore[attr-defined]
    return True


def sweep() -> dict[str, int]:
    """Find what was lost: claims whose lease ended, rows that wait untold, uploads that nobody continues; and publish what is due."""
    found = {
        "reclaimed": sum(lifecycle.reclaim(model) for model in LIVES),
        "expired": uploads.expire(),
        "published": schedule.publish_due(),
        "sent": 0,
    }
    for (model, state), stage in TABLE.items():
        if waiting_messages(stage.queue, stage.priority) < BATCH:
            found["sent"] += _send_waiting(model, state, stage.fit)
    return found


def _send_waiting(model: Any, state: str, fit: Callable[[], Q] | None) -> int:
    due = Q(send_after=None) | Q(send_after__lte=timezone.now())
    if fit is not None:
        due &= fit()
    rows = model.objects.filter(due, state=state).order_by("moved_at").values_list("pk", flat=True)[:BATCH]
    return sum(nudge(model, pk, state) for pk in rows)


def waiting_messages(queue: str, priority: int = FIRST) -> int:
    """Messages of one priority that wait in a queue; 0 when the broker does not answer (sending will say so itself)."""
    try:
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            return int(channel.client.llen(channel._q_for_pri(queue, priority)))
    except Exception:
        return 0
