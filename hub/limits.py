"""What one person or program may ask of this hub at most, and how much of it somebody has used: for the page that says so.

The limits are enforced where they stand; what is read here are the same settings and constants. Nothing is counted here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hub import variants
from inference import merges, renderlimits
from inference.models import Derivative, Merge, Purpose, Render, Shot
from registry import incoming
from registry.lifecycle import FileState
from registry.models import File, Role, Upload, User

log = logging.getLogger(__name__)
PUSHED_CHANGES, PUSHED_SECONDS = 500, 300
"""Changes through the Hugging Face door of one person within so many seconds."""
PAGES_BY_NUMBER = 1_000
"""Entries of a Civitai list that are reached by page number; behind them by cursor only."""
HASHES_WHOLE, HASHES_IDS = 100, 10_000
"""Hashes in one question to the Civitai door: for whole answers, and for ids alone."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `most` and `used` are numbers, of bytes where `in_bytes`; `used` is None where nobody is signed in, or nothing is counted.

    `status` is the HTTP status that says so when it is reached.
    """

    name: Any
    most: int
    status: int
    used: int | None = None
    in_bytes: bool = False
    seconds: int = 0

    @property
    def percent(self) -> int:
        return min(100, round(100 * (self.used or 0) / self.most)) if self.most else 0


def pushed_key(user_id: int) -> str:
    """Where the cache counts somebody's changes through the Hugging Face door."""
    return f"hf-writes:{user_id}"


def of(user: Any) -> list[Limit]:
    """All limits, with what this person has used of them. Six queries, none for nobody."""
    me = user if user is not None and user.is_authenticated else None
    used = _used(me) if me else {}
    return [
        Limit(_("All files of one person"), settings.USER_QUOTA_BYTES, 413, used.get("bytes"), in_bytes=True),
        Limit(_("One file"), settings.MAX_FILE_BYTES, 413, in_bytes=True),
        Limit(_("JSON of one request"), settings.DATA_UPLOAD_MAX_MEMORY_SIZE, 413, in_bytes=True),
        Limit(_("Uploads of one person that are open"), incoming.MAX_OPEN, 429, used.get("uploads")),
        Limit(_("Renders waiting or running"), settings.RENDER_OPEN_PER_USER, 429, used.get("renders")),
        Limit(_("Pictures asked for"), settings.RENDER_PICTURES_PER_DAY, 429, used.get("pictures"), seconds=86_400),
        Limit(_("Merges waiting or running"), merges.OPEN_AT_ONCE, 429, used.get("merges")),
        Limit(_("Variants waiting or being made"), variants.OPEN_AT_ONCE, 429, used.get("variants")),
        Limit(_("Changes by the Hugging Face door"), PUSHED_CHANGES, 429, used.get("pushed"), seconds=PUSHED_SECONDS),
        Limit(_("Entries of a Civitai list by page number"), PAGES_BY_NUMBER, 429),
        Limit(_("Hashes in one question, for whole answers"), HASHES_WHOLE, 400),
        Limit(_("Hashes in one question, for ids"), HASHES_IDS, 400),
    ]


def _used(user: User) -> dict[str, int]:
    own = Render.objects.filter(owner=user, purpose=Purpose.TXT2IMG)
    today = own.filter(created_at__gte=timezone.now() - timedelta(days=1), steps_total__gt=0)
    uploaded = File.objects.filter(version__entry__owner=user, role=Role.UPLOADED).exclude(state=FileState.FAILED)
    making = Derivative.objects.filter(source__version__entry__owner=user, state__in=variants.OPEN)
    return {
        "bytes": int(uploaded.aggregate(total=Sum("size_bytes"))["total"] or 0),
        "uploads": Upload.objects.filter(owner=user, completed_at=None, file__state=FileState.UPLOADING).count(),
        "renders": own.filter(state__in=renderlimits.OPEN).count(),
        "pictures": Shot.objects.filter(render__in=today).count(),
        "merges": Merge.objects.filter(owner=user, state__in=merges.OPEN).count(),
        "variants": making.count(),
        "pushed": _pushed(user),
    }


def _pushed(user: User) -> int:
    try:
        return int(cache.get(pushed_key(user.pk)) or 0)
    except Exception as error:  # whatever a cache's client raises: without a cache nobody is counted
        log.warning("no cache to read a count from: %s", error)
        return 0
