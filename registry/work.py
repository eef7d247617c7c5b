"""How a worker does one piece of leased work: claim it, keep the lease while it lasts, and give every ending its place.

An answer about the file (`FormatError`) fails the row with its sentence; trouble of ours is logged once and tried again
later by the sweep; a lost race is nobody's fault and ends quietly.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
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


def run(row: Any, to: str, job: Callable[[Any], None]) -> None:
    """Claim `row` into state `to` and do `job(row)`, which moves the row on; never raises for what the file or we did wrong."""
    try:
        row = lifecycle.claim(row, to)
    except LostRace:
        return
    try:
        with lease_kept(row):
            job(row)
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
def lease_kept(row: Any) -> Iterator[None]:
    """Renew the row's lease from a thread while the block runs; stops renewing when the race is lost."""
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(row, stop), name=f"lease-{row.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def _renew(row: Any, stop: threading.Event) -> None:
    """The thread's loop. It works on a copy: the job's own row object moves on without it."""
    copy = type(row)(pk=row.pk, state=row.state, turn=row.turn)
    until = timezone.now() + LONGEST_WORK
    try:
        while not stop.wait(settings.LEASE_SECONDS / 4) and timezone.now() < until:
            close_old_connections()
            try:
                lifecycle.renew(copy)
            except LostRace:
                return
            except Exception:
                log.warning("could not renew the lease of %s %s", type(row).__name__, row.pk, exc_info=True)
    finally:
        connection.close()
