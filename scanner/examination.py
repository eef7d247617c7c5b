"""One examination: take the bytes in, have them judged in the sandbox, record what was found, move the file on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry import components, facts, intake, lifecycle, pushes, storage, timeline
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.identify.detect import identify
from registry.lifecycle import FileState
from registry.models import Blob, File, TensorIndex, Verdict
from scanner import disagreements, releases, run, verdicts
from scanner.models import ScanReport
from scanner.pickles import POLICY_VERSION, SCANNER_VERSION, UNDERSTOOD, misnamed
from scanner.second_look import second_look
from scanner.verdicts import verdict_key

__all__ = ["examine", "judge", "record", "seal", "verdict_key"]
log = logging.getLogger(__name__)
NAME_LIES = "F-EXTENSION"


class NotJudged(RuntimeError):
    """The scanner could not do its work on bytes that have a verdict: that one stays, and the work is tried again."""


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
            _identify_later(file, blob)
    _move_on(file, blob)


def _check_name(file: File, blob: Blob) -> None:
    """The verdict on known bytes holds, but not for every name: a checkpoint that is called a picture is refused, the bytes stay."""
    finding = misnamed(blob.container, file.name)
    if finding is not None and blob.verdict in {Verdict.SUCCESS, Verdict.SUSPICIOUS}:
        raise FormatError(f"scan:{finding.code}", finding.message)


def _scan(file: File, blob: Blob, path: Path) -> None:
    before = blob.verdict
    with timeline.step(file, "scan", total_bytes=blob.size_bytes) as step:
        report, directory = judge(path, name=file.name)
        if before not in {Verdict.PENDING, Verdict.ERROR} and verdicts.is_trouble(report):
            raise NotJudged(str(report["findings"][0].get("message", "")))
        record(blob, report, directory)
        step.note(f"{blob.verdict}: {report.get('kind', '')}")
    if directory and blob.verdict in {Verdict.SUCCESS, Verdict.SUSPICIOUS}:
        _identify(file, blob, directory)


def judge(path: Path, *, name: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """(report, tensor directory or None) of the bytes at `path` as every scanner that is set up sees them; keeps nothing.

    Raises `FormatError` where nothing is wrong but that `name` does not fit the bytes.
    """
    report = second_look(run.scan_path(path, name=name, timeout=settings.SCAN_TIMEOUT_SECONDS), path)
    directory = report.pop("directory", None)
    _refuse_if_only_the_name_lies(report)
    return report, directory


def _refuse_if_only_the_name_lies(report: dict[str, Any]) -> None:
    """A lying name is the fault of this file, not of its bytes: judged as such, nobody can seal another's bytes by misnaming them.

    Bytes that are suspicious besides may have been released; they too are another's.
    """
    lies = [finding for finding in report.get("findings", []) if finding.get("code") == NAME_LIES]
    worst = {finding.get("severity") for finding in report.get("findings", []) if finding.get("code") != NAME_LIES}
    if lies and report.get("kind") in UNDERSTOOD and worst <= {"info", "suspicious"}:
        raise FormatError(f"scan:{NAME_LIES}", str(lies[0].get("message", "")))


@transaction.atomic
def record(blob: Blob, report: dict[str, Any], directory: dict[str, Any] | None) -> ScanReport:
    """Keep a report, and on the blob what the rest of the hub asks for: verdict, key, container, tensor directory.

    A release of these bytes ends where the report finds anything that nobody has accepted.
    """
    verdicts.locked(blob)
    before = verdicts.newest_report(blob)
    report = disagreements.still_standing(blob, report)
    verdict = report["verdict"] if report["verdict"] in Verdict.values else Verdict.ERROR
    row = ScanReport.objects.create(blob=blob, verdict=verdict, scanner=SCANNER_VERSION, policy=POLICY_VERSION, report=report)
    disagreements.keep(row)
    blob.verdict, blob.verdict_key = verdict, verdict_key()
    blob.scanned_at, blob.container = timezone.now(), str(report.get("kind", ""))[:40]
    blob.released = releases.hold_or_end(blob, row, before)
    blob.save(update_fields=["verdict", "verdict_key", "scanned_at", "container", "released"])
    facts.refresh_bytes(blob.pk)
    if directory:
        TensorIndex.keep(blob, directory)
        components.settle(blob)
    return row


def _identify_later(file: File, blob: Blob) -> None:
    """What a rescan let through was never identified: an error has no tensors to tell it by."""
    if not blob.detected and blob.cleared and hasattr(blob, "tensor_index"):
        _identify(file, blob, blob.tensor_index.directory.to_json())


def _identify(file: File, blob: Blob, directory: dict[str, Any]) -> None:
    """Say what the tensors are. A file that cannot be identified is still a good file, so nothing here may fail it."""
    with timeline.step(file, "identify") as step:
        try:
            blob.detected = identify(TensorDirectory.from_json(directory)).to_json()
        except Exception:
            log.exception("identification of %s failed", blob.sha256)
            step.note("What it is could not be told from its tensors.")
            return
        with transaction.atomic():
            blob.save(update_fields=["detected"])
            facts.refresh_bytes(blob.pk)
        step.note(", ".join(str(blob.detected[key]) for key in ("kind", "base_model", "precision") if blob.detected.get(key)))


def _move_on(file: File, blob: Blob) -> None:
    """Move the examined file by the verdict in force, and with it whatever else rests on the same bytes."""
    _put_where_it_belongs(blob)
    with transaction.atomic():
        blob = verdicts.locked(blob)
        if blob.cleared:
            _let_through(file, blob)
        else:
            code, sentence = verdicts.reason_of(blob)
            if blob.verdict == Verdict.ERROR:
                lifecycle.fail(file, code, sentence)
            else:
                lifecycle.advance(file, FileState.DANGER, error_code=code, error=sentence)
        verdicts.follow(blob, f"Judged again by scanner {blob.verdict_key}, because the same bytes came once more: {blob.verdict}.")


def _let_through(file: File, blob: Blob) -> None:
    release = releases.in_force(blob)
    if release:
        timeline.mark(file, "released", f"Suspicious, and released by {release.by_name}: {release.reason}")
    lifecycle.advance(file, FileState.CLEAN, error_code="", error="")
    pushes.adopt(file)


@transaction.atomic
def _put_where_it_belongs(blob: Blob, *, seal: bool = False) -> None:
    """Bring cleared bytes back to the open store; with `seal` also the others to the sealed one. Its own transaction: what is
    moved stays moved, whatever becomes of the file.
    """
    blob = verdicts.locked(blob)
    if blob.cleared and blob.sealed:
        storage.unseal(blob)
        Blob.objects.filter(pk=blob.pk).update(sealed=False)
    elif seal and not blob.cleared:
        storage.seal(blob)
        Blob.objects.filter(pk=blob.pk).update(sealed=True)
    facts.refresh_bytes(blob.pk)


def seal(file: File) -> None:
    """Move the bytes of a dangerous file to the sealed store, and with them every other file that stands on the same bytes.

    Where they were cleared in the meantime they stay, and the file is examined again.
    """
    if file.blob is not None:
        _put_where_it_belongs(file.blob, seal=True)
    with transaction.atomic():
        blob = verdicts.locked(file.blob) if file.blob else None
        timeline.mark(file, "quarantined", file.error)
        lifecycle.advance(file, FileState.QUARANTINED)
        if blob is not None:
            verdicts.follow(blob)
