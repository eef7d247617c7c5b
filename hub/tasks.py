"""Celery tasks of the hub itself: the sweep, and folding what is counted on the side."""

from __future__ import annotations

from celery import shared_task

from hub import pipeline
from registry import cleanup, counters


@shared_task(name="hub.sweep")
def sweep() -> dict[str, int]:
    """Every ten seconds, by beat."""
    return {**pipeline.sweep(), "folded": counters.fold()}


@shared_task(name="hub.tidy")
def tidy() -> dict[str, int]:
    """Every quarter of an hour, by beat."""
    return cleanup.collect()
