"""Keeps where another scanner and ours part: for moderators to settle, and for maintainers, since one of the two is wrong."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from registry.models import Blob, Verdict
from scanner.models import Disagreement, ScanReport
from scanner.opinions.asking import ERROR, NOT_INSTALLED, SKIPPED
from scanner.weighing import objection, worsened

FAILURE_NOTE = "A failure of the other scanner: counted, nothing to decide."


def still_standing(blob: Blob, report: dict[str, Any]) -> dict[str, Any]:
    """The report, suspicious where it is a success only because a scanner that objected before gave no answer this time.

    A scanner's silence must not lift its own objection; its word, or a moderator who settles the disagreement, does.
    """
    if report["verdict"] != Verdict.SUCCESS:
        return report
    answers = report.get("second_opinions") or []
    answered = {opinion["tool"].partition(" ")[0] for opinion in answers if opinion["verdict"] not in (ERROR, SKIPPED)}
    unsettled = Disagreement.objects.filter(blob=blob, settled_at=None)
    standing = {row.tool.partition(" ")[0]: row for row in unsettled}
    findings = [
        objection(row.tool, row.said, f"{row.detail}; no answer this time") for tool, row in standing.items() if tool not in answered
    ]
    return worsened(report, findings) if findings else report


def keep(row: ScanReport) -> list[Disagreement]:
    """Rows for what the second opinions of a stored report say against our success: objections open, failures already settled.

    The same words of the same tool about the same bytes are kept once, so that a scan again reopens nothing.
    """
    made = []
    for opinion in row.report.get("second_opinions") or []:
        failed = opinion["verdict"] == ERROR and row.verdict == Verdict.SUCCESS and opinion["detail"] != NOT_INSTALLED
        if not opinion["worse"] and not failed:
            continue
        told = {"blob": row.blob, "tool": opinion["tool"][:60], "said": opinion["verdict"][:60], "detail": opinion["detail"]}
        if not Disagreement.objects.filter(**told).exists():
            settled = {"settled_at": timezone.now(), "settled_note": FAILURE_NOTE} if failed else {}
            made.append(Disagreement.objects.create(report=row, ours=Verdict.SUCCESS, **told, **settled))
    return made
