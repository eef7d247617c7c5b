"""Known bytes judged again, beside the lives of their files: because scanner or policy changed, or because somebody asks.

What is served stays served while a rescan waits and runs; only its verdict moves files (`verdicts.follow`).
"""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from registry import lifecycle, storage
from registry.formats.errors import FormatError
from registry.lifecycle import RescanState
from registry.models import Blob, File, Verdict
from scanner import examination, verdicts
from scanner.models import Rescan
from scanner.pickles import SCANNER_VERSION, misnamed
from scanner.verdicts import verdict_key

Reason = Rescan.Reason
WITHOUT_PICKLES = frozenset({"safetensors", "gguf"})
"""Kinds that hold no pickle, whatever the list of allowed calls says: another policy finds nothing else in them."""
OPEN_AT_ONCE = 20
"""Rescans that the hub asks for by itself and that may be open together; the next ones wait until some are done."""
OPEN = (RescanState.WANTED, RescanState.SCANNING)
RENEWED_AT_ONCE = 1000


class ScannerTrouble(RuntimeError):
    """The scanner could not do its work: ours, tried again, and never a verdict on the bytes."""


def judged() -> QuerySet[Blob]:
    """Stored bytes that have a verdict and that some file stands on."""
    return Blob.objects.filter(Exists(File.objects.filter(blob=OuterRef("pk"))), stored=True).exclude(verdict_key="")


def stale() -> QuerySet[Blob]:
    """What another scanner or another policy has judged, the oldest verdict first; a policy only concerns what can hold pickles."""
    concerned = ~Q(verdict_key__startswith=f"{SCANNER_VERSION}/") | ~Q(container__in=WITHOUT_PICKLES)
    return judged().filter(concerned).exclude(verdict_key=verdict_key()).order_by(F("scanned_at").asc(nulls_first=True), "pk")


def refresh() -> dict[str, int]:
    """Beat's round: bring keys up to date where nothing can change, and ask for the next few rescans.

    Counts: "renewed" keys, "asked" rescans, "sealed" files that a changed verdict had missed.
    """
    room = OPEN_AT_ONCE - Rescan.objects.filter(state__in=OPEN).count()
    asked = sum(ask(blob, _why(blob)) is not None for blob in _unasked(stale())[: max(room, 0)])
    return {"renewed": _renew(), "asked": asked, "sealed": verdicts.enforce()}


def _unasked(blobs: QuerySet[Blob]) -> QuerySet[Blob]:
    """Without those that wait already, and those whose rescan under today's rules has failed: people look at these."""
    settled = Q(state__in=OPEN) | Q(state=RescanState.FAILED, key=verdict_key())
    return blobs.exclude(Exists(Rescan.objects.filter(settled, blob=OuterRef("pk"))))


def _renew() -> int:
    """A new policy does not concern files without pickles: their verdict holds under it as it is."""
    same_scanner = judged().filter(verdict_key__startswith=f"{SCANNER_VERSION}/", container__in=WITHOUT_PICKLES)
    some = same_scanner.exclude(verdict_key=verdict_key()).order_by().values("pk")[:RENEWED_AT_ONCE]
    return Blob.objects.filter(pk__in=some).update(verdict_key=verdict_key())


def renew_all() -> int:
    """As beat does round by round, at once: the keys of everything that a new policy does not concern."""
    total = 0
    while count := _renew():
        total += count
    return total


def _why(blob: Blob) -> Rescan.Reason:
    return Reason.POLICY if blob.verdict_key.startswith(f"{SCANNER_VERSION}/") else Reason.SCANNER


def ask(blob: Blob, reason: str = Reason.ASKED, *, tell: bool = True) -> Rescan | None:
    """Want these bytes judged again; None where that is wanted already. A rescan that failed is taken up again.

    Without `tell` no worker hears of it until the next sweep: for many at once.
    """
    values = {"reason": reason, "key": verdict_key(), "before": blob.verdict, "after": ""}
    try:
        with transaction.atomic():
            failed = Rescan.objects.filter(blob=blob, state=RescanState.FAILED).last()
            if failed:
                return lifecycle.advance(failed, RescanState.WANTED, attempts=0, error="", error_code="", **values)
            row = Rescan.objects.create(blob=blob, **values)
            return lifecycle.born(row) if tell else row
    except (IntegrityError, lifecycle.LostRace):
        return None


def named(*, since: datetime | None = None, pickles: bool = False, sha256: str = "", everything: bool = False) -> QuerySet[Blob]:
    """The bytes that somebody asks for: judged since then, of kinds that can hold pickles, by SHA-256 prefix; else what is stale."""
    if not (since or pickles or sha256 or everything):
        return stale()
    blobs = judged().order_by(F("scanned_at").asc(nulls_first=True), "pk")
    if since:
        blobs = blobs.filter(scanned_at__gte=since)
    if pickles:
        blobs = blobs.exclude(container__in=WITHOUT_PICKLES)
    return blobs.filter(sha256__startswith=sha256.lower()) if sha256 else blobs


def work(row: Rescan) -> None:
    """Judge the bytes of a claimed rescan (state `scanning`) and let the verdict have its effect, both or neither.

    Raises `FormatError` where there is nothing to judge, `ScannerTrouble` and storage trouble as they are.
    """
    blob = row.blob
    if not blob.stored:
        raise FormatError("rescan:no-bytes", "The bytes are not here any more, so they cannot be judged again.")
    if row.reason != Reason.ASKED and blob.verdict_key == verdict_key():
        lifecycle.advance(row, RescanState.DONE, after=blob.verdict)  # an upload of the same bytes was quicker
        return
    with storage.local_path(blob) as path:
        report, directory = examination.judge(path, name=_name_for(blob))
    if verdicts.is_trouble(report):
        raise ScannerTrouble(str(report["findings"][0].get("message", "")))
    _conclude(row, report, directory)


@transaction.atomic
def _conclude(row: Rescan, report: dict, directory: dict | None) -> None:
    before = verdicts.locked(row.blob).verdict
    examination.record(row.blob, report, directory)
    after = row.blob.verdict
    verdicts.follow(row.blob, verdict_note(row.blob, before))
    lifecycle.advance(row, RescanState.DONE, before=before, after=after)


def verdict_note(blob: Blob, before: str) -> str:
    """One line for a timeline: who judged again, and what changed."""
    verdict = blob.verdict if blob.verdict == before else f"{before} before, {blob.verdict} now"
    sentence = "" if blob.verdict == Verdict.SUCCESS else " " + verdicts.reason_of(blob)[1]
    return f"Judged again by scanner {verdict_key()}: {verdict}.{sentence}"


def _name_for(blob: Blob) -> str:
    """A name that the bytes go by, honest where there is one: the name of one file must not decide over another's bytes."""
    order = {"ready": 0, "quarantined": 1}
    files = sorted(File.objects.filter(blob=blob).only("name", "state"), key=lambda file: order.get(file.state, 2))
    honest = (file.name for file in files if misnamed(blob.container, file.name) is None)
    return next(honest, files[0].name if files else "")
