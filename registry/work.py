"""How a worker does leased work, one piece or several at once: claim it, keep the lease while it lasts, and give every ending its place.

An answer about the file (`FormatError`) fails the row with its sentence; trouble of ours is logged once and tried again
later by the sweep; a lost race is nobody's fault and ends quietly.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from registry import lifecycle
from registry.formats.errors import FormatError
from registry.lifecycle import LostRace

log = logging.getLogger(__name__)
LONGEST_WORK = timedelta(hours=3)
"""After this long the lease is no longer renewed: a worker that hangs must not hold a file for ever."""
FIRST_WAIT_SECONDS = 20
"""Wait after our own trouble before the next attempt; four times longer after each further one."""


Ending = Callable[[], object]
"""The last part of a row's work: it moves the row on, or raises what went wrong with it."""


def run(row: Any, to: str, job: Callable[[Any], None]) -> None:
    """Claim `row` into state `to` and do `job(row)`, which moves the row on; never raises for what the file or we did wrong."""
    run_many([row], to, lambda rows: [partial(job, rows[0])])


def run_many(rows: Sequence[Any], to: str, job: Callable[[list[Any]], Sequence[Ending]]) -> None:
    """Claim those of `rows` that are still to be had and do their work together; never raises for what the files or we did wrong.

    `job` gets the claimed rows, does what they have in common and returns an ending for each, in their order. What an ending raises
    concerns its own row; what `job` raises concerns them all.
    """
    claimed = [row for row in (_claimed(row, to) for row in rows) if row is not None]
    if not claimed:
        return
    with lease_kept(*claimed):
        try:
            endings = job(claimed)
        except Exception as trouble:
            endings = [partial(_raise, trouble)] * len(claimed)
        for row, ending in zip(claimed, endings, strict=True):
            _end(row, ending)


def _claimed(row: Any, to: str) -> Any:
    try:
        return lifecycle.claim(row, to)
    except LostRace:
        return None


def _raise(trouble: Exception) -> None:
    raise trouble


def _end(row: Any, ending: Ending) -> None:
    try:
        ending()
    except LostRace as lost:
        log.info("gave way: %s", lost)
    except FormatError as answer:
        _settle(partial(lifecycle.fail, row, answer.code, answer.sentence))
    except Exception as trouble:
        log.exception("trouble over %s %s", type(row).__name__, row.pk)
        _settle(partial(_try_later, row, trouble))


def _settle(move: Callable[[], Any]) -> None:
    """Make a move whose race may be lost, or whose database may be away: then the lease ends and the sweep finds the row."""
    try:
        move()
    except LostRace as lost:
        log.info("gave way: %s", lost)
    except Exception:
        log.exception("could not record the end of this work; its lease will end")


def _try_later(row: Any, trouble: Exception) -> None:
    """Back to where it waits, or failed when it was tried often enough: in the words of the trouble where it has a `sentence`."""
    if row.attempts >= lifecycle.MAX_ATTEMPTS:
        sentence = "The hub could not finish its work on this file (trouble of ours, not of the file). Try again, or tell the admin."
        lifecycle.fail(row, "work:trouble", getattr(trouble, "sentence", sentence))
        return
    wait = timedelta(seconds=FIRST_WAIT_SECONDS * 4 ** (row.attempts - 1))
    lifecycle.advance(row, row.LIFE.leased[row.state], send_after=timezone.now() + wait)


@contextmanager
def lease_kept(*rows: Any) -> Iterator[None]:
    """Renew the rows' leases from a thread while the block runs; stops renewing one when its race is lost."""
    stop = threading.Event()
    copies = [type(row)(pk=row.pk, state=row.state, turn=row.turn) for row in rows]  # the job's own row objects move on without it
    thread = threading.Thread(target=_renew, args=(copies, stop), name=f"lease-{rows[0].pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def _renew(rows: Sequence[Any], stop: threading.Event) -> None:
    """The thread's loop."""
    until = timezone.now() + LONGEST_WORK
    try:
        while rows and not stop.wait(settings.LEASE_SECONDS / 4) and timezone.now() < until:
            close_old_connections()
            rows = [row for row in rows if _renewed(row)]
    finally:
        connection.close()


def _renewed(row: Any) -> bool:
    """Whether the row is still ours, as far as can be told."""
    try:
        lifecycle.renew(row)
    except LostRace:
        return False
    except Exception:
        log.warning("could not renew the lease of %s %s", type(row).__name__, row.pk, exc_info=True)
    return True
