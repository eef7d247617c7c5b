"""Moderators' word on suspicious bytes: let through for exactly these bytes and these unknown names, by name, with reason and date.

Danger and error are never released. A later scan that finds anything else than what was accepted ends a release by itself.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry import facts
from registry.models import Blob, File, Role, User, Verdict
from registry.refusals import Refusal
from scanner import verdicts
from scanner.models import Release, ScanReport
from scanner.verdicts import locked, newest_report

LEAST_REASON = 10
"""Characters of a reason: enough that the next moderator learns something from it."""
MOST_REASON = 1000
FOUND = {
    Verdict.SUCCESS: "found nothing suspicious in these bytes any more",
    Verdict.DANGER: "found these bytes to be dangerous",
    Verdict.ERROR: "could not read these bytes to their end",
}
log = logging.getLogger(__name__)


class Refused(Refusal):
    """This cannot be released, or not by this person."""


def names_of(report: ScanReport | None) -> list[str]:
    """The unknown globals that a report lists, sorted: ["package.module.Class", ...]."""
    rows = (report.report.get("imports") or []) if report else []
    return sorted({f"{row.get('module', '')}.{row.get('name', '')}" for row in rows if row.get("safety") == "unknown"})


def effective() -> QuerySet[Release]:
    """Every release by which bytes are served now, the newest first."""
    return Release.objects.filter(withdrawn_at=None, blob__released=True, blob__verdict=Verdict.SUSPICIOUS)


def in_force(blob: Blob) -> Release | None:
    """The release by which these bytes are served, if it is one."""
    return Release.objects.filter(blob=blob, withdrawn_at=None).first() if blob.released else None


def why_not(blob: Blob | None, moderator: Any) -> Refused | None:
    """Why this person cannot release these bytes, or None. For buttons, and for `release` under a lock."""
    if not moderator.is_authenticated or not moderator.moderates:
        return Refused("release:moderators", "Only a moderator can release a file.", 403)
    if blob is None or blob.verdict != Verdict.SUSPICIOUS:
        return Refused(
            "release:not-suspicious",
            "Only suspicious files can be released, and the newest scan does not call this one suspicious. Look at its report again.",
        )
    if not blob.stored:
        return Refused("release:no-bytes", "The bytes of this file are not here any more, so there is nothing to release.")
    if _is_own(blob, moderator):
        return Refused(
            "release:own", "You cannot release bytes that you uploaded yourself: four eyes see more than two. Ask another moderator.", 403
        )
    current = in_force(blob)
    if current:
        return Refused("release:already", f"{current.by_name} released this file already, on {current.created_at:%d %B %Y, %H:%M} UTC.")
    return None


def _is_own(blob: Blob, moderator: User) -> bool:
    """Four eyes: whoever uploaded the bytes does not release them. Staff run the hub and may, so that a hub of one person works."""
    own = File.objects.filter(blob=blob, role=Role.UPLOADED, version__entry__owner=moderator)
    return not moderator.is_staff and own.exists()


@transaction.atomic
def release(blob: Blob, moderator: User, reason: str) -> Release:
    """Serve suspicious bytes from now on: sealed files on them are examined again and become ready.

    Holds for the names that the newest report lists. Raises `Refused`; of two moderators at once the second is told of the first.
    """
    blob = locked(blob)
    refusal = why_not(blob, moderator)
    if refusal:
        raise refusal
    reason = _checked(reason)
    names = names_of(newest_report(blob))
    row = Release.objects.create(blob=blob, names=names, reason=reason, by=moderator, by_name=moderator.username)
    Blob.objects.filter(pk=blob.pk).update(released=True)
    facts.refresh_bytes(blob.pk)
    log.info("%s released %s", moderator.username, blob.sha256)
    verdicts.follow(blob, f"Released by {moderator.username}: {reason}")
    return row


@transaction.atomic
def withdraw(release: Release, moderator: User, reason: str) -> Release:
    """End a release: what is ready on its bytes is sealed again. Raises `Refused`."""
    if not moderator.moderates:
        raise Refused("release:moderators", "Only a moderator can withdraw a release.", 403)
    reason = _checked(reason)
    locked(release.blob)
    release = Release.objects.select_related("blob").get(pk=release.pk)
    if release.withdrawn_at is not None:
        raise Refused("release:ended", f"This release has ended already, on {release.withdrawn_at:%d %B %Y, %H:%M} UTC.")
    _end(release, moderator.username, reason)
    Blob.objects.filter(pk=release.blob_id).update(released=False)
    facts.refresh_bytes(release.blob_id)
    verdicts.follow(release.blob, f"Release withdrawn by {moderator.username}: {reason}")
    return release


def hold_or_end(blob: Blob, report: ScanReport, before: ScanReport | None) -> bool:
    """What `Blob.released` is to be under a new report; ends the release where it finds anything that nobody has accepted.

    `before` is the report that was the newest until now. Call it with the blob locked.
    """
    current = Release.objects.filter(blob=blob, withdrawn_at=None).first()
    if current is None:
        return False
    if report.verdict != Verdict.SUSPICIOUS:
        why = FOUND.get(report.verdict, FOUND[Verdict.ERROR])
    elif names_of(report) != current.names:
        why = "found other names than were accepted"
    elif not _oddities(report) <= _oddities(before):
        why = "found something else than was accepted"
    else:
        return True
    _end(current, "", f"Scanner {report.scanner} with policy {report.policy} {why}.")
    return False


def _oddities(report: ScanReport | None) -> set[str]:
    """Codes of what makes a report suspicious: the same names with something new beside them are another case."""
    findings = (report.report.get("findings") or []) if report else []
    return {str(finding.get("code")) for finding in findings if finding.get("severity") not in {"info", "success"}}


def _end(release: Release, by_name: str, reason: str) -> None:
    release.withdrawn_at, release.withdrawn_by_name, release.withdrawn_reason = timezone.now(), by_name, reason
    log.info("release of %s ended by %s: %s", release.blob.sha256, by_name or "a scan", reason)
    release.save(update_fields=["withdrawn_at", "withdrawn_by_name", "withdrawn_reason"])


def one_line(text: str) -> str:
    """What a moderator wrote, as one line that the database can keep."""
    return " ".join(text.replace("\x00", "").split())


def _checked(reason: str) -> str:
    reason = one_line(reason)
    if len(reason) < LEAST_REASON:
        raise Refused("release:reason", f"Say why, in at least {LEAST_REASON} characters: others read it.", 400)
    return reason[:MOST_REASON]
