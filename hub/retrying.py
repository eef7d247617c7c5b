"""Asking again: what a person may send back to work, and why not where it is not possible. One rule for pages and programs."""

from __future__ import annotations

from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError, transaction

from inference.models import Derivative
from registry import lifecycle, queries, staging, storage
from registry.lifecycle import DerivativeState, FileState
from registry.models import File, User, Verdict
from registry.refusals import Refusal
from scanner import rescans
from scanner.models import Rescan


class NoRetry(Refusal):
    """This cannot be tried again, or not by this person."""


def retry(user: User, file: File) -> None:
    """Queue a failed file again, a quarantined one for moderators only, and of a good file the variants that failed.

    The caller has checked that the user may change the file. Raises `NoRetry`.
    """
    try:
        with transaction.atomic():
            _retry(user, file)
    except lifecycle.LostRace:
        raise NoRetry("retry:moved", "Something else happened to this file just now. Look at it again.") from None
    except IntegrityError:
        text = f"This version has another file named {file.name} by now. Delete that one first, or upload this one under another name."
        raise NoRetry("upload:name-taken", text) from None


def _retry(user: User, file: File) -> None:
    if file.state == FileState.FAILED:
        if not bytes_are_here(file):
            raise NoRetry("retry:no-bytes", "The bytes of this file are not here any more, so it cannot be tried again. Upload it again.")
        lifecycle.retry(file, FileState.QUEUED)
    elif file.state == FileState.QUARANTINED:
        if not queries.is_moderator(user):
            raise NoRetry("retry:moderators", "This file is in quarantine. Only a moderator can have it judged again.", 403)
        lifecycle.retry(file, FileState.QUEUED)
    elif not _retry_variants(file):
        raise NoRetry("retry:nothing", f"This file is {file.state}, and none of its variants failed: there is nothing to try again.")


def _retry_variants(file: File) -> int:
    failed = list(Derivative.objects.filter(source=file, state=DerivativeState.FAILED))
    for derivative in failed:
        lifecycle.retry(derivative, DerivativeState.WANTED)
    return len(failed)


def can_retry(user: User, file: File) -> bool:
    """Whether `retry` would do something: for buttons."""
    if file.state == FileState.FAILED:
        return bytes_are_here(file)
    if file.state == FileState.QUARANTINED:
        return queries.is_moderator(user)
    return Derivative.objects.filter(source=file, state=DerivativeState.FAILED).exists()


def bytes_are_here(file: File) -> bool:
    """Whether the hub has the whole file: as a stored blob, or as a completed upload that was not taken in yet."""
    if file.blob is not None:
        return file.blob.stored and storage.exists(file.blob)
    try:
        upload = file.upload
    except ObjectDoesNotExist:
        return False
    return upload.completed_at is not None and staging.joined(upload)


def why_not_judged_again(user: User, file: File) -> NoRetry | None:
    """Why this person cannot have these bytes judged again, or None. For buttons and for `judge_again`."""
    if not queries.is_moderator(user):
        return NoRetry("rescan:moderators", "Only a moderator can have a file judged again.", 403)
    if file.blob is None or file.blob.verdict == Verdict.PENDING:
        return NoRetry("rescan:not-yet", "This file has no verdict yet. It is judged in its turn, or try it again from its page.")
    if not file.blob.stored:
        return NoRetry("rescan:no-bytes", "The bytes of this file are not here any more, so they cannot be judged again.")
    return None


def judge_again(user: User, file: File) -> Rescan:
    """Have the bytes of a file judged again beside its life: what is served stays served until a worse verdict. Raises `NoRetry`.

    Asking twice gives the rescan that waits already.
    """
    refusal = why_not_judged_again(user, file)
    if refusal:
        raise refusal
    row = rescans.ask(file.blob) or Rescan.objects.filter(blob=file.blob, state__in=rescans.OPEN).first()  # type: ignore[arg-type]
    if row is None:
        raise NoRetry("retry:moved", "Something else happened to this file just now. Look at it again.")
    return row
