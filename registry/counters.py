"""Counts downloads: appended at once, folded into the counters later, so that a popular model is no hot row."""

from __future__ import annotations

from collections import Counter

from django.db import transaction
from django.db.models import F

from registry.models import DownloadCount, Entry, File, Version


def count_download(file: File) -> None:
    """One successful download request of a file."""
    DownloadCount.objects.create(version_id=file.version_id, file_id=file.pk)


@transaction.atomic
def fold(limit: int = 20_000) -> int:
    """Add what was appended to the counters of files, versions and entries; how many rows there were."""
    rows = list(
        DownloadCount.objects.select_for_update(skip_locked=True)
        .filter(folded=False)
        .order_by("id")
        .values_list("id", "version_id", "file_id")[:limit]
    )
    if not rows:
        return 0
    DownloadCount.objects.filter(id__in=[row[0] for row in rows]).update(folded=True)
    versions = Counter(row[1] for row in rows)
    _add(File, Counter(row[2] for row in rows))
    _add(Version, versions)
    entries: Counter[int] = Counter()
    for pk, entry_id in Version.objects.filter(pk__in=versions).values_list("pk", "entry_id"):
        entries[entry_id] += versions[pk]
    _add(Entry, entries)
    return len(rows)


def _add(model: type, counts: Counter[int]) -> None:
    for pk, count in sorted(counts.items()):
        model.objects.filter(pk=pk).update(download_count=F("download_count") + count)  # type: ignore[attr-defined]
