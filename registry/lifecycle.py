"""The life of a file and of everything that waits, is made and may fail: states, moves, and the only way to move.

A move is one conditional UPDATE that also bumps `turn`. Whoever holds an old `turn` has lost and learns it by `LostRace`:
a worker that comes back from the dead, a message that came twice. What a state sets in motion stands in `hub/pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.dispatch import Signal
from django.utils import timezone

if TYPE_CHECKING:
    from registry.models.living import Living

    Row = TypeVar("Row", bound=Living)

MAX_ATTEMPTS = 3
"""Claims of one row before it counts as failed: a poison file must not loop for ever."""

AHEAD = "rows_ahead"
BEFORE = models.Q(moved_at__lt=models.OuterRef("moved_at"))
"""Who waits longer is taken first."""

moved = Signal()
"""Sent inside the move's transaction with `row` and `came_from`; receivers act on commit."""


class LostRace(Exception):
    """Somebody else moved this row first. Stop quietly: the work is theirs now."""


class NotAMove(Exception):
    """The life table has no such move: a bug of ours, never the fault of a file."""


class FileState(models.TextChoices):
    UPLOADING = "uploading"
    QUEUED = "queued"
    SCANNING = "scanning"
    CLEAN = "clean"
    CONVERTING = "converting"
    DANGER = "danger"
    READY = "ready"
    QUARANTINED = "quarantined"
    FAILED = "failed"


SHOWN_STATES = (FileState.READY, FileState.DANGER, FileState.QUARANTINED)
"""States in which readers see a file; its unfinished and failed attempts are its creator's own business."""


class DerivativeState(models.TextChoices):
    WANTED = "wanted"
    MAKING = "making"
    MADE = "made"
    FAILED = "failed"


class RescanState(models.TextChoices):
    WANTED = "wanted"
    SCANNING = "scanning"
    DONE = "done"
    FAILED = "failed"


class MergeState(models.TextChoices):
    WANTED = "wanted"
    MERGING = "merging"
    MADE = "made"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RenderState(models.TextChoices):
    WANTED = "wanted"
    RENDERING = "rendering"
    MADE = "made"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ImageState(models.TextChoices):
    """Of an image that somebody attached to a version."""

    RECEIVED = "received"
    CHECKING = "checking"
    SHOWN = "shown"
    REFUSED = "refused"


@dataclass(frozen=True)
class Life:
    """One life as a table.

    `moves`: state -> states it may become. `leased`: claimed state -> the state it falls back to when its lease ends.
    `waits_for_people`: states that only a person (or the clock of an upload) moves on. `ends`: states that may stay for ever.
    """

    moves: dict[str, frozenset[str]]
    leased: dict[str, str]
    waits_for_people: frozenset[str]
    ends: frozenset[str]
    failed: str


S = FileState
FILE_LIFE = Life(
    moves={
        S.UPLOADING: frozenset({S.QUEUED, S.FAILED}),
        S.QUEUED: frozenset({S.SCANNING}),
        S.SCANNING: frozenset({S.CLEAN, S.DANGER, S.QUEUED, S.FAILED}),
        S.CLEAN: frozenset({S.CONVERTING, S.READY, S.DANGER}),
        S.CONVERTING: frozenset({S.READY, S.CLEAN, S.FAILED, S.DANGER}),
        S.DANGER: frozenset({S.QUARANTINED}),
        S.READY: frozenset({S.DANGER}),
        S.QUARANTINED: frozenset({S.QUEUED}),
        S.FAILED: frozenset({S.QUEUED}),
    },
    leased={S.SCANNING: S.QUEUED, S.CONVERTING: S.CLEAN},
    waits_for_people=frozenset({S.UPLOADING, S.FAILED, S.QUARANTINED}),
    ends=frozenset({S.READY}),
    failed=S.FAILED,
)

D = DerivativeState
DERIVATIVE_LIFE = Life(
    moves={
        D.WANTED: frozenset({D.MAKING}),
        D.MAKING: frozenset({D.MADE, D.WANTED, D.FAILED}),
        D.MADE: frozenset({D.WANTED}),
        D.FAILED: frozenset({D.WANTED}),
    },
    leased={D.MAKING: D.WANTED},
    waits_for_people=frozenset({D.FAILED}),
    ends=frozenset({D.MADE}),
    failed=D.FAILED,
)

R = RescanState
RESCAN_LIFE = Life(
    moves={
        R.WANTED: frozenset({R.SCANNING}),
        R.SCANNING: frozenset({R.DONE, R.WANTED, R.FAILED}),
        R.DONE: frozenset(),
        R.FAILED: frozenset({R.WANTED}),
    },
    leased={R.SCANNING: R.WANTED},
    waits_for_people=frozenset({R.FAILED}),
    ends=frozenset({R.DONE}),
    failed=R.FAILED,
)

M = MergeState
MERGE_LIFE = Life(
    moves={
        M.WANTED: frozenset({M.MERGING, M.CANCELLED}),
        M.MERGING: frozenset({M.MADE, M.WANTED, M.FAILED, M.CANCELLED}),
        M.MADE: frozenset(),
        M.FAILED: frozenset({M.WANTED}),
        M.CANCELLED: frozenset(),
    },
    leased={M.MERGING: M.WANTED},
    waits_for_people=frozenset({M.FAILED}),
    ends=frozenset({M.MADE, M.CANCELLED}),
    failed=M.FAILED,
)

P = RenderState
RENDER_LIFE = Life(
    moves={
        P.WANTED: frozenset({P.RENDERING, P.CANCELLED}),
        P.RENDERING: frozenset({P.MADE, P.WANTED, P.FAILED, P.CANCELLED}),
        P.MADE: frozenset({P.WANTED}),
        P.FAILED: frozenset({P.WANTED}),
        P.CANCELLED: frozenset(),
    },
    leased={P.RENDERING: P.WANTED},
    waits_for_people=frozenset({P.FAILED}),
    ends=frozenset({P.MADE, P.CANCELLED}),
    failed=P.FAILED,
)

G = ImageState
IMAGE_LIFE = Life(
    moves={
        G.RECEIVED: frozenset({G.CHECKING}),
        G.CHECKING: frozenset({G.SHOWN, G.RECEIVED, G.REFUSED}),
        G.SHOWN: frozenset({G.RECEIVED}),
        G.REFUSED: frozenset({G.RECEIVED}),
    },
    leased={G.CHECKING: G.RECEIVED},
    waits_for_people=frozenset({G.REFUSED}),
    ends=frozenset({G.SHOWN}),
    failed=G.REFUSED,
)


def take(model: type[Row], pk: int, state: str) -> Row | None:
    """The row if it is still in `state`, else None: messages come twice and late."""
    return model.objects.filter(pk=pk, state=state).first()


def advance(row: Row, to: str, **changes: Any) -> Row:
    """Move `row` to state `to`, setting `changes` in the same UPDATE; returns the row as it is now.

    Raises `LostRace` when the row is no longer in the state and turn that the caller saw, `NotAMove` for a move
    outside the table.
    """
    life = row.LIFE
    if to not in life.moves[row.state]:
        raise NotAMove(f"{type(row).__name__} {row.pk}: {row.state} -> {to}")
    came_from, now = row.state, timezone.now()
    lease = now + timedelta(seconds=settings.LEASE_SECONDS) if to in life.leased else None
    if came_from in life.leased and to != life.leased[came_from]:
        changes.setdefault("attempts", 0)  # the next stage starts counting afresh
    values = {"state": to, "turn": row.turn + 1, "moved_at": now, "lease_until": lease, "send_after": None, **changes}
    with transaction.atomic():
        changed = type(row).objects.filter(pk=row.pk, state=row.state, turn=row.turn).update(**values)
        if not changed:
            raise LostRace(f"{type(row).__name__} {row.pk} is no longer {row.state} in turn {row.turn}")
        row.refresh_from_db()
        moved.send(type(row), row=row, came_from=came_from)
    return row


def born(row: Row) -> Row:
    """Announce a row that was just created in a state that sets work in motion."""
    moved.send(type(row), row=row, came_from=None)
    return row


def claim(row: Row, to: str) -> Row:
    """Take the work of a leased state: as `advance`, and counts the attempt."""
    return advance(row, to, attempts=row.attempts + 1)


def renew(row: Row) -> None:
    """Prolong the lease of a claimed row; raises `LostRace` when the claim is no longer ours."""
    until = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
    if not type(row).objects.filter(pk=row.pk, state=row.state, turn=row.turn).update(lease_until=until):
        raise LostRace(f"{type(row).__name__} {row.pk} was taken from us")


def fail(row: Row, code: str, sentence: str) -> Row:
    """Give up on a row with a code for programs and a sentence for people."""
    return advance(row, row.LIFE.failed, error_code=code, error=sentence)


def cancel(row: Row, to: str, while_in: Collection[str]) -> Row | None:
    """End a row that is in one of these states; None where it is over. Whoever moves it meanwhile delays that, and does not prevent it."""
    for _ in range(3):
        if row.state not in while_in:
            break
        try:
            return advance(row, to)
        except LostRace:
            row.refresh_from_db()
    return None


def retry(row: Row, to: str) -> Row:
    """A person asks again: forget the error and the attempts."""
    return advance(row, to, attempts=0, error_code="", error="")


def reclaim(model: type[Row]) -> int:
    """Return every claim whose lease has ended to where it came from (failed after `MAX_ATTEMPTS`); how many there were."""
    count = 0
    for state, back in model.LIFE.leased.items():
        for row in model.objects.filter(state=state, lease_until__lt=timezone.now()):
            count += _give_back(row, back)
    return count


def _give_back(row: Row, back: str) -> int:
    try:
        if row.attempts >= MAX_ATTEMPTS:
            fail(
                row,
                "work:gave-up",
                f"The worker died {row.attempts} times over this file. Nothing was published. Try again, or ask an admin.",
            )
        else:
            advance(row, back)
    except LostRace:
        return 0
    return 1


def place_in_queue(row: Row) -> int | None:
    """1 for the row that will be taken next among those waiting in the same state; None where it does not wait for a worker."""
    if row.state not in row.LIFE.leased.values():
        return None
    if AHEAD in row.__dict__:
        return int(row.__dict__[AHEAD]) + 1
    return type(row).objects.filter(state=row.state, moved_at__lt=row.moved_at).count() + 1


def with_places(rows: models.QuerySet[Row], ahead: models.Q = BEFORE) -> models.QuerySet[Row]:
    """For lists: `place_in_queue` of these rows asks nothing then: how many were `ahead` of each came with it."""
    waiting = rows.model._default_manager.filter(ahead, state=models.OuterRef("state")).order_by().values("state")
    counted = models.Subquery(waiting.annotate(n=models.Count("pk")).values("n"), output_field=models.IntegerField())
    waits = models.When(state__in=set(rows.model.LIFE.leased.values()), then=Coalesce(counted, 0))
    return rows.annotate(**{AHEAD: models.Case(waits, default=0)})
