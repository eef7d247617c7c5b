"""Reads everything that is known of the scan of one file: newest report, who released it, whether it is outdated, what came before.

Who may see it is asked by the caller. The tables are `scanner.models`; what may be shown of a report is `shown`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from hub.verdicts import sentences, shown
from registry import panel
from registry.lifecycle import FileState
from registry.models import File, Verdict
from scanner import releases, rescans
from scanner.models import Rescan, ScanReport
from scanner.verdicts import verdict_key

MAX_HISTORY = 50


@dataclass(frozen=True)
class ReleaseNote:
    """A release in force: who let the bytes through, why, when; the texts are printable."""

    by: str
    reason: str
    at: datetime

    def to_json(self) -> dict[str, Any]:
        return {"by": self.by, "reason": self.reason, "at": self.at}


@dataclass(frozen=True)
class Scan:
    """The scan of a file's bytes. `body` has every key of `shown.report` also where there is no report.

    `level` is the verdict that a person should see: the blob's, or worse where only this file was refused.
    """

    file: File
    level: str
    sentence: str
    body: dict[str, Any]
    row: ScanReport | None = None
    outdated: bool = False
    waiting: bool = False
    release: ReleaseNote | None = None
    history: list[ScanReport] = field(default_factory=list)

    @property
    def title(self) -> str:
        return sentences.TITLES[self.level]


def of_file(file: File) -> Scan:
    """Three queries, whatever the report holds; `file.blob` is expected to be loaded."""
    blob = file.blob
    row = None
    if blob is not None:
        row = in_force(ScanReport.objects.filter(blob=blob)).annotate(rescan_open=_rescan_open()).first()
    body = shown.report(row.report if row else None)
    level, sentence = _standing(file, body)
    if row is None or blob is None:
        return Scan(file, level, sentence, body)
    return Scan(
        file,
        level,
        sentence,
        body,
        row,
        outdated=blob.verdict_key != verdict_key(),
        waiting=row.rescan_open,
        release=release_note(row.release_in_force),  # type: ignore[attr-defined]
        history=list(ScanReport.objects.filter(blob=blob, pk__lt=row.pk).defer("report")[:MAX_HISTORY]),
    )


def in_force(reports: QuerySet[ScanReport]) -> QuerySet[ScanReport]:
    """Each report with `release_in_force`: {"by", "reason", "at"} or None; costs no query of its own."""
    return reports.annotate(release_in_force=released_by("blob_id"))


def released_by(blob: str) -> Subquery:
    """The release in force of the blob that the column `blob` names, as {"by", "reason", "at"}; for annotations."""
    rows = releases.effective().filter(blob=OuterRef(blob))
    return Subquery(rows.values(note=JSONObject(by="by_name", reason="reason", at="created_at"))[:1])


def release_note(found: dict[str, str] | None) -> ReleaseNote | None:
    """What `released_by` found, fit to show."""
    if not found:
        return None
    reason = " ".join(found["reason"].split())
    return ReleaseNote(shown.text(found["by"], 150), shown.text(reason, 1000), datetime.fromisoformat(found["at"]))


def _rescan_open() -> Exists:
    return Exists(Rescan.objects.filter(blob=OuterRef("blob_id"), state__in=rescans.OPEN))


def level_of(file: File) -> str:
    """The verdict to show for a file: its bytes', or "error" where it was refused for itself, its name or how it arrived."""
    refused = file.state == FileState.FAILED and file.error and file.verdict in {Verdict.PENDING, Verdict.SUCCESS}
    return "error" if refused else file.verdict


def _standing(file: File, body: dict[str, Any]) -> tuple[str, str]:
    """(level, sentence)"""
    if level_of(file) != file.verdict:
        return "error", shown.text(file.error, 600)
    antivirus = body["antivirus"]
    said = "success" if antivirus is None or antivirus["verdict"] == "partial" else antivirus["verdict"]
    level = file.verdict if file.verdict == Verdict.PENDING else sentences.merged(file.verdict, said)
    return level, sentences.sentence(level, body)


def tensors_found(file: File) -> dict[str, Any]:
    """{"count", "bytes" (as stored), "dtypes": {dtype: how many}} of the directory that the scan left; empty without one.

    Empty as well for one of more tensors than a page takes apart.
    """
    try:
        directory = panel.scanned(file.blob) if file.blob else None
    except panel.TooMany:
        directory = None
    if directory is None:
        return {}
    dtypes = Counter(tensor.dtype for tensor in directory)
    stored = sum(storage.size for storage in directory.storages)
    return {"count": dtypes.total(), "bytes": stored, "dtypes": dict(dtypes.most_common())}
