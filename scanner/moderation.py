"""What waits for a moderator: suspicious files, releases in force, disagreements of scanners, rescans that failed. And settling.

Reads and one write; who may see it is asked by the caller. Releases themselves are `releases.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils import timezone

from registry.lifecycle import FileState, RescanState
from registry.models import Blob, File, Role, User, Verdict
from scanner.models import Disagreement, Release, Rescan, ScanReport
from scanner.releases import Refused, effective, names_of, one_line

LEAST_NOTE = 3
MOST_NOTE = 1000


def held_back() -> QuerySet[File]:
    """Uploaded files that are suspicious and not released, those who wait longest first."""
    states = [FileState.DANGER, FileState.QUARANTINED]
    files = File.objects.filter(state__in=states, role=Role.UPLOADED, blob__verdict=Verdict.SUSPICIOUS, blob__released=False)
    alive = files.filter(version__deleted_at=None, version__entry__deleted_at=None)
    return alive.select_related("blob", "version__entry__owner").order_by("moved_at", "pk")


def releases_in_force() -> QuerySet[Release]:
    """The newest first."""
    return effective().select_related("blob")


def open_disagreements() -> QuerySet[Disagreement]:
    """The newest first."""
    return Disagreement.objects.filter(settled_at=None).select_related("blob")


def failed_rescans() -> QuerySet[Rescan]:
    """The newest failure first."""
    return Rescan.objects.filter(state=RescanState.FAILED).select_related("blob").order_by("-moved_at")


def names_by_blob(blobs: Iterable[int]) -> dict[int, list[str]]:
    """Blob id -> the unknown names of its newest report; one query."""
    rows = ScanReport.objects.filter(blob__in=list(blobs)).order_by("blob_id", "-id").distinct("blob_id")
    return {row.blob_id: names_of(row) for row in rows}


def file_by_blob(blobs: Iterable[int]) -> dict[int, File]:
    """Blob id -> a file that stands on it, an uploaded one where there is one; one query."""
    rows = File.objects.filter(blob__in=list(blobs)).select_related("version__entry__owner").order_by("blob_id", "-role", "id")
    return {file.blob_id: file for file in rows.distinct("blob_id") if file.blob_id}


def settle(disagreement: Disagreement, moderator: User, note: str) -> None:
    """Close a disagreement with what came of it. Raises `releases.Refused`; of two moderators at once the second is told of the first."""
    if not moderator.moderates:
        raise Refused("disagreement:moderators", "Only a moderator can settle this.", 403)
    note = one_line(note)[:MOST_NOTE]
    if len(note) < LEAST_NOTE:
        raise Refused("disagreement:note", "Say in a word or two which of the scanners is right, and how you know.", 400)
    values = {"settled_at": timezone.now(), "settled_by_name": moderator.username, "settled_note": note}
    if not Disagreement.objects.filter(pk=disagreement.pk, settled_at=None).update(**values):
        disagreement.refresh_from_db()
        raise Refused("disagreement:settled", f"{disagreement.settled_by_name or 'Somebody'} has settled this already.")


def newest_rescan(blob: Blob) -> Rescan | None:
    return Rescan.objects.filter(blob=blob).last()
