"""Writes the timeline of a file: what people and programs see of the work. Never decides anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.utils import timezone

from registry.models import File, TimelineStep

Outcome = TimelineStep.Outcome
PROGRESS_EVERY = 1.0
"""Seconds between progress writes: enough for a bar, cheap for the database."""


class Running:
    """A step that is under way; `progress(bytes_done)` may be called as often as one likes."""

    def __init__(self, row: TimelineStep, beat: Callable[[], None] | None) -> None:
        self.row, self.beat, self._last = row, beat, 0.0

    def note(self, text: str) -> None:
        self.row.note = text[:500]

    def scaled_progress(self, done: int, total: int) -> None:
        """As `progress`, from work that counts its own total."""
        self.progress(done * self.row.total_bytes // max(total, 1))

    def progress(self, done_bytes: int) -> None:
        now = time.monotonic()
        if now - self._last >= PROGRESS_EVERY:
            self._last = now
            TimelineStep.objects.filter(pk=self.row.pk).update(done_bytes=done_bytes)
            if self.beat:
                self.beat()


@contextmanager
def step(file: File, name: str, *, total_bytes: int = 0, beat: Callable[[], None] | None = None) -> Iterator[Running]:
    """Record a step around a block: done when the block ends, failed with the error's sentence when it raises."""
    interrupt(file, name)
    row = TimelineStep.objects.create(file=file, step=name, started_at=timezone.now(), total_bytes=total_bytes)
    running = Running(row, beat)
    try:
        yield running
    except BaseException as error:
        _finish(row, Outcome.FAILED, getattr(error, "sentence", None) or row.note or "Stopped before it was done.")
        raise
    row.done_bytes = total_bytes
    _finish(row, Outcome.DONE, row.note)


def mark(file: File, name: str, note: str = "", outcome: str = Outcome.DONE) -> None:
    """Record something that takes no time: received, published, sealed."""
    now = timezone.now()
    TimelineStep.objects.create(file=file, step=name, outcome=outcome, started_at=now, finished_at=now, note=note[:500])


def interrupt(file: File, name: str) -> None:
    """Close a step that a dead worker left open. By name: other variants of the file may be in the making beside it."""
    open_steps = TimelineStep.objects.filter(file=file, step=name, outcome=Outcome.RUNNING)
    open_steps.update(outcome=Outcome.INTERRUPTED, finished_at=timezone.now(), note="The worker stopped; the step was taken up again.")


def _finish(row: TimelineStep, outcome: str, note: str) -> None:
    row.outcome, row.finished_at, row.note = outcome, timezone.now(), note[:500]
    row.save(update_fields=["outcome", "finished_at", "note", "done_bytes"])
