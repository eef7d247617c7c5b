"""Publishing at a moment that the creator chose. Whether a version may be published is asked then, by `catalog.publish`, as ever."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from registry import catalog
from registry.models import Status, Version

FURTHEST = timedelta(days=366)
GIVEN_UP = timedelta(days=7)
"""A version that was not ready for a week after its moment waits for its creator."""
BATCH = 200

log = logging.getLogger(__name__)


def schedule(version: Version, at: datetime) -> None:
    """Publish this draft at `at`, or as soon afterwards as it is ready. Raises `catalog.Refused`."""
    now = timezone.now()
    if version.status == Status.PUBLISHED or version.gone:
        raise catalog.Refused("schedule:no-draft", "Only a draft can be published later.")
    if at <= now:
        raise catalog.Refused("schedule:past", "This moment is over. Choose a later one, or publish now.")
    if at > now + FURTHEST:
        raise catalog.Refused("schedule:far", "Choose a moment within a year.")
    Version.objects.filter(pk=version.pk).update(publish_at=at)
    version.publish_at = at


def cancel(version: Version) -> None:
    """Publish it only when its creator says so."""
    Version.objects.filter(pk=version.pk).update(publish_at=None)
    version.publish_at = None


def publish_due() -> int:
    """Publish the drafts whose moment has come and that are ready; how many. Called by the sweep, any number of times at once."""
    now, count = timezone.now(), 0
    due = Version.objects.filter(publish_at__lte=now, publish_at__gt=now - GIVEN_UP, status=Status.DRAFT, deleted_at=None)
    for pk in due.order_by("publish_at").values_list("pk", flat=True)[:BATCH]:
        count += _publish(pk)
    return count


def _publish(pk: int) -> bool:
    with transaction.atomic():
        rows = Version.objects.select_for_update(of=("self",), skip_locked=True).select_related("entry__owner")
        version = rows.filter(pk=pk, status=Status.DRAFT, publish_at__lte=timezone.now()).first()
        if version is None:
            return False
        try:
            catalog.publish(version)
        except catalog.Refused as refusal:
            log.info("version %s is due but not ready: %s", pk, refusal.code)
            return False
        return True
