"""What the verdict on bytes means for the files that stand on them: which are sealed, which are looked at again, with which sentence.

Judges nothing itself: `examination.py` asks the scanner, `releases.py` a moderator, and both end here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from registry import lifecycle, timeline
from registry.lifecycle import FileState, LostRace
from registry.models import Blob, File, Role, Verdict
from scanner.models import ScanReport
from scanner.pickles import POLICY_VERSION, SCANNER_VERSION

log = logging.getLogger(__name__)
HELD_BACK = "Held back until a moderator has looked: "
ONLY_THE_NAME = "scan:F-EXTENSION"
"""Error code of a file whose name lies: a better verdict on its bytes does not help it."""
OURS = frozenset({"F-SANDBOX", "F-LIMIT", "V-ERROR"})
"""Findings about a scanner or antivirus that died, ran out of time or memory, or did not answer: perhaps a busy machine's fault and
not the bytes', so never a reason to seal what is served."""
_OFFERED = (FileState.CLEAN, FileState.CONVERTING, FileState.READY)
"""States that a file reaches by cleared bytes alone."""
_WORST = {"danger": 0, "error": 1, "suspicious": 2}


def verdict_key() -> str:
    """What a verdict holds for: another scanner or policy must look again."""
    return f"{SCANNER_VERSION}/{POLICY_VERSION}"


def is_trouble(report: dict[str, Any]) -> bool:
    """Whether this report (`Report.to_json`) says nothing of the bytes, because the scanner itself could not do its work."""
    errors = [finding.get("code") for finding in report.get("findings", []) if finding.get("severity") == "error"]
    return report.get("verdict") == Verdict.ERROR and bool(errors) and OURS.issuperset(errors)


def newest_report(blob: Blob) -> ScanReport | None:
    return ScanReport.objects.filter(blob=blob).first()


def reason_of(blob: Blob) -> tuple[str, str]:
    """(error code, sentence) for a file on bytes that are not cleared, from the worst finding of the newest report."""
    row = newest_report(blob)
    findings = (row.report.get("findings") or []) if row else []
    # What would run says more than the import that it needs, which stands in front of it.
    worst = min(findings, key=lambda finding: (_WORST.get(finding.get("severity"), 3), finding.get("code") == "P-IMPORT"), default=None)
    if worst is None:
        return "scan:no-answer", "The scanner gave no answer, and that counts as a no. Try again, or tell the admin."
    sentence = str(worst.get("message", ""))
    return f"scan:{worst.get('code', '')}"[:60], HELD_BACK + sentence if blob.verdict == Verdict.SUSPICIOUS else sentence


def locked(blob: Blob) -> Blob:
    """The blob as it is now, locked for this transaction: verdict, release and place change one after the other.

    Whoever also moves files locks the blob first.
    """
    return Blob.objects.select_for_update().get(pk=blob.pk)


@transaction.atomic
def follow(blob: Blob, note: str = "") -> int:
    """Bring every file on these bytes in line with the verdict in force; how many were moved. Doing it twice changes nothing.

    Ready files (and those on the way) on bytes that are not cleared go to the sealed store. Sealed files on cleared bytes, and
    files that had failed over these bytes, are examined again. `note` goes to the timeline of what moved.
    """
    blob = locked(blob)
    files = File.objects.filter(blob=blob)
    if not blob.cleared:
        moved = _each(files.filter(state__in=_OFFERED), lambda file: _condemn(file, blob), note)
    else:
        moved = _each(files.filter(state=FileState.QUARANTINED), _again, note)
    if blob.verdict not in {Verdict.PENDING, Verdict.ERROR} and blob.stored:
        failed = files.filter(state=FileState.FAILED, error_code__startswith="scan:").exclude(error_code=ONLY_THE_NAME)
        moved += _each(failed, _again, note)
    return moved


def _each(files: QuerySet[File], move: Callable[[File], Any], note: str) -> int:
    """Move every file that nobody else moves meanwhile; one whose name was taken by a newer file stays where it is."""
    count = 0
    for file in files:
        try:
            with transaction.atomic():
                move(file)
                if note:
                    timeline.mark(file, "rescan", note)
            count += 1
        except (LostRace, IntegrityError) as reason:
            log.info("%s stays as it is: %s", file, reason)
    return count


def _again(file: File) -> None:
    lifecycle.retry(file, FileState.QUEUED)


def _condemn(file: File, blob: Blob) -> None:
    code, sentence = reason_of(blob)
    lifecycle.advance(file, FileState.DANGER, error_code=code, error=sentence)
    for derived in File.objects.filter(source=file, role=Role.DERIVED, state=FileState.READY).exclude(blob=blob):
        timeline.mark(
            derived, "rescan", f"{file.name}, from which this file was made, is not offered any more. This file is judged by its own bytes."
        )


def enforce(limit: int = 50) -> int:
    """Seal what is still offered on bytes that are not cleared: a file that became ready while its verdict changed.

    Nothing of it was downloadable in between, because downloads ask the verdict. How many files were moved.
    """
    held = Q(blob__verdict=Verdict.SUSPICIOUS, blob__released=False) | Q(blob__verdict__in=[Verdict.DANGER, Verdict.ERROR])
    files = File.objects.filter(held, state__in=_OFFERED).order_by()
    return sum(follow(Blob(pk=pk)) for pk in files.values_list("blob_id", flat=True).distinct()[:limit])
