"""What a scan found, as `securityFileStatus` of the Hugging Face Hub: the verdict, what a pickle imports, what the antivirus said.

Everything comes through `hub.verdicts.shown`, so names out of files are plain, printable and cut. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hub.verdicts import sentences, shown
from hub.verdicts.reports import level_of
from registry.models import File, Verdict
from scanner.models import ScanReport

SAFE, UNSAFE, SUSPICIOUS, CAUTION, QUEUED, UNSCANNED = "safe", "unsafe", "suspicious", "caution", "queued", "unscanned"
STATUS = {"success": SAFE, "suspicious": SUSPICIOUS, "danger": UNSAFE, "error": SUSPICIOUS, "pending": QUEUED}
"""Our levels in the protocol's words. A file that could not be read to its end is held back like one that is suspicious."""
SAFETY = {"allowed": "innocuous", "name-only": "innocuous", "unknown": "suspicious", "dangerous": "dangerous"}
"""Safety of an import in the words of the Hub's own pickle scan."""
MAX_IMPORTS = 100
PLAIN_TEXT = "A text that this hub wrote or keeps as it is; it holds no weights."
NO_ENGINE = "No antivirus engine is set up. The structural scan judged every byte."

Status = dict[str, Any]


def newest_reports(blob_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Blob id -> what `file_status` reads of its newest report; one query for all."""
    newest = ScanReport.objects.filter(blob_id__in=list(blob_ids)).order_by("blob_id", "-id").distinct("blob_id")
    return {blob: report for blob, report in newest.values_list("blob_id", "report") if isinstance(report, dict)}


def file_status(file: File | None, report: dict[str, Any] | None = None) -> Status:
    """`securityFileStatus` of a stored file with its blob loaded; None is a text of a tree (`text_status`).

    `report` is its newest one (`newest_reports`); without it the imports and the antivirus' words are left out. `avScan` and
    `pickleImportScan` are always there: clients read them unasked.
    """
    if file is None:
        return text_status()
    body = shown.report(report)
    antivirus = body["antivirus"]
    level = _level(file, antivirus)
    status = STATUS.get(level, SUSPICIOUS)
    if level == Verdict.SUSPICIOUS and file.blob is not None and file.blob.released:
        status = CAUTION
    return {
        "status": status,
        "message": _message(file, level, body),
        "avScan": _antivirus(antivirus),
        "pickleImportScan": _imports(level, body),
        **{name: _not_asked() for name in ("jFrogScan", "protectAiScan", "virusTotalScan")},
    }


def text_status() -> Status:
    """The same for a text of a tree: a card, a configuration."""
    nobody = {name: _not_asked() for name in ("avScan", "jFrogScan", "protectAiScan", "virusTotalScan")}
    return {"status": SAFE, "message": PLAIN_TEXT, "pickleImportScan": {"status": UNSCANNED, "pickleImports": []}, **nobody}


def _level(file: File, antivirus: dict[str, Any] | None) -> str:
    """The verdict to show: the bytes', the file's own where it was refused, or the antivirus engine's where that is worse."""
    level = level_of(file)
    if level == Verdict.PENDING or antivirus is None or antivirus["verdict"] == "partial":
        return level
    return sentences.merged(level, antivirus["verdict"])


def _message(file: File, level: str, body: dict[str, Any]) -> str:
    if level_of(file) != file.verdict:
        return shown.text(file.error, 600)
    return sentences.sentence(level, body) if body["kind"] or level != "success" else ""


def _imports(level: str, body: dict[str, Any]) -> Status:
    rows = [{"module": row["module"], "name": row["name"], "safety": SAFETY[row["safety"]]} for row in body["imports"]]
    found: Status = {"status": STATUS.get(level, SUSPICIOUS), "pickleImports": rows[:MAX_IMPORTS], "version": body["scanner"]}
    if len(rows) > MAX_IMPORTS:
        found["message"] = f"{len(rows):,} imports; the first {MAX_IMPORTS} are listed, the worst first."
    return found


def _antivirus(said: dict[str, Any] | None) -> Status:
    """What was not read to its end is not called safe."""
    if said is None:
        return {"status": UNSCANNED, "message": NO_ENGINE}
    if said["verdict"] == "partial":
        read = f"{said['scanned_bytes']:,} of {said['total_bytes']:,} bytes were read by the antivirus engine."
        return {"status": UNSCANNED, "message": f"{read} The structural scan judged all of them."}
    status = {"success": SAFE, "danger": UNSAFE}.get(said["verdict"], SUSPICIOUS)
    found: Status = {"status": status, "message": said["message"]}
    return {**found, "virusNames": [said["signature"]]} if said["signature"] else found


def _not_asked() -> Status:
    """A scanner that this hub does not have."""
    return {"status": UNSCANNED, "message": None}
