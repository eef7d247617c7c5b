"""One examination: take the bytes in, have them judged in the sandbox, record what was found, move the file on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry import intake, lifecycle, storage, timeline
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.identify.detect import identify
from registry.lifecycle import FileState
from registry.models import Blob, File, TensorIndex, Verdict
from scanner import run
from scanner.models import ScanReport
from scanner.pickles import POLICY_VERSION, SCANNER_VERSION, misnamed

log = logging.getLogger(__name__)

UNDERSTOOD = frozenset({"torch-zip", "torch-legacy", "pickle", "safetensors"})
"""Kinds that the scanner reads whole whatever they are called, so that a wrong name alone says nothing of the bytes."""


def verdict_key() -> str:
    """What a verdict holds for: another scanner or policy must look again."""
    return f"{SCANNER_VERSION}/{POLICY_VERSION}"


def examine(file: File) -> None:
    """Judge a claimed file (state `scanning`) and move it to clean, danger or failed.

    Raises `FormatError` for bytes that are not what was announced; storage and database trouble as it is.
    """
    with intake.admitted(file) as (blob, path):
        if blob.verdict_key != verdict_key() or blob.verdict in {Verdict.PENDING, Verdict.ERROR}:
            _scan(file, blob, path)
        else:
            _check_name(file, blob)
            timeline.mark(file, "scan", "Known bytes: the verdict of the same scanner and policy holds.")
    _move_on(file, blob)


def _check_name(file: File, blob: Blob) -> None:
    """The verdict on known bytes holds, but not for every name: a checkpoint that is called a picture is refused, the bytes stay."""
    finding = misnamed(blob.container, file.name)
    if finding is not None and blob.verdict == Verdict.SUCCESS:
        raise FormatError(f"scan:{finding.code}", finding.message)


def _scan(file: File, blob: Blob, path: Path) -> None:
    with timeline.step(file, "scan", total_bytes=blob.size_bytes) as step:
        report = run.scan_path(path, name=file.name, timeout=settings.SCAN_TIMEOUT_SECONDS)
        directory = report.pop("directory", None)
        _refuse_if_only_the_name_lies(report)
        record(blob, report, directory)
        step.note(f"{blob.verdict}: {report.get('kind', '')}")
    if directory and blob.verdict in {Verdict.SUCCESS, Verdict.SUSPICIOUS}:
        _identify(file, blob, directory)


def _refuse_if_only_the_name_lies(report: dict[str, Any]) -> None:
    """A lying name is the fault of this file, not of its bytes: judged as such, nobody can seal another's bytes by misnaming them."""
    findings = [finding for finding in report.get("findings", []) if finding.get("severity") != "info"]
    if findings and report.get("kind") in UNDERSTOOD and all(finding.get("code") == "F-EXTENSION" for finding in findings):
        raise FormatError("scan:F-EXTENSION", str(findings[0].get("message", "")))


@transaction.atomic
def record(blob: Blob, report: dict[str, Any], directory: dict[str, Any] | None) -> ScanReport:
    """Keep a report, and on the blob what the rest of the hub asks for: verdict, key, container, tensor directory."""
    verdict = report["verdict"] if report["verdict"] in Verdict.values else Verdict.ERROR
    row = ScanReport.objects.create(blob=blob, verdict=verdict, scanner=SCANNER_VERSION, policy=POLICY_VERSION, report=report)
    blob.verdict, blob.verdict_key = verdict, verdict_key()
    blob.scanned_at, blob.container = timezone.now(), str(report.get("kind", ""))[:40]
    blob.save(update_fields=["verdict", "verdict_key", "scanned_at", "container"])
    if directory:
        TensorIndex.keep(blob, directory)
    return row


def _identify(file: File, blob: Blob, directory: dict[str, Any]) -> None:
    """Say what the tensors are. A file that cannot be identified is still a good file, so nothing here may fail it."""
    with timeline.step(file, "identify") as step:
        try:
            blob.detected = identify(TensorDirectory.from_json(directory)).to_json()
        except Exception:
            log.exception("identification of %s failed", blob.sha256)
            step.note("What it is could not be told from its tensors.")
            return
        blob.save(update_fields=["detected"])
        step.note(", ".join(str(blob.detected[key]) for key in ("kind", "base_model", "precision") if blob.detected.get(key)))


def _move_on(file: File, blob: Blob) -> None:
    if blob.verdict == Verdict.SUCCESS:
        if blob.sealed:
            storage.unseal(blob)
            Blob.objects.filter(pk=blob.pk).update(sealed=False)
        lifecycle.advance(file, FileState.CLEAN, error_code="", error="")
        return
    finding = _worst_finding(blob)
    if blob.verdict == Verdict.ERROR:
        lifecycle.fail(file, f"scan:{finding['code']}", finding["message"])
    else:
        lifecycle.advance(file, FileState.DANGER, error_code=f"scan:{finding['code']}", error=finding["message"])


def _worst_finding(blob: Blob) -> dict[str, str]:
    report = blob.scan_reports.first()  # type: ignore[attr-defined]
    findings = report.report.get("findings") or [] if report else []
    order = {"danger": 0, "error": 1, "suspicious": 2}
    worst = min(findings, key=lambda finding: order.get(finding.get("severity"), 3), default=None)
    if worst is None:
        return {"code": "no-answer", "message": "The scanner gave no answer, and that counts as a no. Try again, or tell the admin."}
    return {"code": str(worst.get("code", ""))[:50], "message": str(worst.get("message", ""))}


def seal(file: File) -> None:
    """Move the bytes of a dangerous file to the sealed store, and with them every other file that stands on the same bytes."""
    blob = file.blob
    if blob is not None:
        storage.seal(blob)
        Blob.objects.filter(pk=blob.pk).update(sealed=True)
        for other in File.objects.filter(blob=blob, state=FileState.READY):
            lifecycle.advance(other, FileState.DANGER, error_code=file.error_code, error=file.error)
    timeline.mark(file, "quarantined", file.error)
    lifecycle.advance(file, FileState.QUARANTINED)
