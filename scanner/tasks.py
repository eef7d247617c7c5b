"""Celery tasks of the scanner: take, claim, do, move on. Arguments are ids; what they do stands in `examination.py`."""

from __future__ import annotations

from celery import shared_task

from registry import lifecycle, work
from registry.lifecycle import FileState, RescanState
from registry.models import File
from scanner import examination, rescans
from scanner.models import Rescan


@shared_task(name="scanner.examine")
def examine(file_id: int) -> None:
    """queued -> scanning -> clean, danger or failed."""
    file = lifecycle.take(File, file_id, FileState.QUEUED)
    if file:
        work.run(file, FileState.SCANNING, examination.examine)


@shared_task(name="scanner.seal")
def seal(file_id: int) -> None:
    """danger -> quarantined. Every step may be done twice, so it needs no lease."""
    file = lifecycle.take(File, file_id, FileState.DANGER)
    if file:
        try:
            examination.seal(file)
        except lifecycle.LostRace:
            return


@shared_task(name="scanner.rescan")
def rescan(rescan_id: int) -> None:
    """wanted -> scanning -> done or failed; the files on these bytes only move by what comes out."""
    row = lifecycle.take(Rescan, rescan_id, RescanState.WANTED)
    if row:
        work.run(row, RescanState.SCANNING, rescans.work)
