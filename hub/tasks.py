"""Celery tasks of the hub itself: the sweep, verdicts and previews that are to be renewed, folding what is counted on the side."""

from __future__ import annotations

from celery import shared_task

from hub import imagecheck, pipeline
from inference import pictures, previews, renders
from registry import cleanup, commits, counters, images, imagestore, indexing, lifecycle, work
from registry.lifecycle import ImageState
from registry.models import UserImage
from scanner import rescans


@shared_task(name="hub.sweep")
def sweep() -> dict[str, int]:
    """Every ten seconds, by beat."""
    return {**pipeline.sweep(), "folded": counters.fold()}


@shared_task(name="hub.refresh_verdicts")
def refresh_verdicts() -> dict[str, int]:
    """Every ten seconds, by beat: what an older scanner or policy has judged is judged again, a few at a time."""
    return rescans.refresh()


@shared_task(name="hub.refresh_previews")
def refresh_previews() -> dict[str, int]:
    """Every ten seconds, by beat: previews that are missing or out of date are planned, a few at a time."""
    return previews.refresh()


@shared_task(name="hub.refresh_search")
def refresh_search() -> dict[str, int]:
    """Every ten seconds, by beat: what older rules have indexed is indexed anew, a few at a time."""
    return indexing.refresh()


@shared_task(name="hub.check_image")
def check_image(image_id: int) -> None:
    """received -> checking -> shown or refused."""
    image = lifecycle.take(UserImage, image_id, ImageState.RECEIVED)
    if image:
        work.run(image, ImageState.CHECKING, imagecheck.work)


@shared_task(name="hub.tidy")
def tidy() -> dict[str, int]:
    """Every quarter of an hour, by beat."""
    found = {"lost": previews.replan_lost(), "superseded": previews.drop_superseded(), "renders": renders.forget_old()}
    found |= {"old_images": images.forget_old(), "images": imagestore.collect()}
    return {**cleanup.collect(), **found, "pictures": pictures.collect(), "blurred": pictures.fill_blurs(), "texts": commits.forget_texts()}
