"""Django system checks: a hub that would serve sealed bytes or take nonsense limits must not start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Error, register


@register()
def stores_differ(**_: Any) -> list[Error]:
    """The sealed store must not be the store that downloads are served from."""
    buckets = settings.S3_BUCKETS
    if settings.STORAGE_KIND == "s3" and len(set(buckets.values())) != len(buckets):
        return [Error("The buckets for models, quarantine and media must differ.", hint="Set WEIGH_S3_*_BUCKET apart.", id="hub.E001")]
    return []


@register()
def limits_are_sane(**_: Any) -> list[Error]:
    found = []
    if not 5 * 2**20 <= settings.PART_SIZE_BYTES <= 64 * 2**20:
        found.append(Error("WEIGH_PART_SIZE_BYTES must lie between 5 MiB (S3's least) and 64 MiB (what proxies pass).", id="hub.E002"))
    if settings.LEASE_SECONDS < 4:
        found.append(Error("WEIGH_LEASE_SECONDS under 4 would give work away that is still being done.", id="hub.E003"))
    return found
