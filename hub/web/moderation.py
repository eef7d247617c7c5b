"""What moderators do: look at what is held back, release it or not, end releases, settle disagreements; and what a file's report offers.

Every rule is asked of `scanner.releases`, `scanner.moderation`, `hub.retrying` and `hub.extracting`; here are forms and addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from hub import extracting, retrying
from hub.said import said
from hub.web import access, reports
from registry import queries
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.models import File
from scanner import moderation, releases, rescans
from scanner.models import Disagreement, Release, Rescan

SHOWN = 100
"""Rows of each list on the moderators' page: the oldest waiting, the newest of the rest. The heading counts them all."""


def actions(request: HttpRequest, file: File) -> dict[str, Any]:
    """What may be done about a file's verdict, for `moderation/actions.html`; asks a constant number of queries.

    Keys: "file"; "release" in force or None, "former" releases, "names" that the newest report does not know; "may_release" and
    for moderators "release_refusal", a sentence; "may_extract", "extracted" file or None, "extraction" (Derivative) or None;
    "may_rescan", "rescan" (the newest) or None; "disagreements" open ones, for moderators; "moderator"; "anything" to show at all.
    """
    user, blob = request.user, file.blob
    moderator = queries.is_moderator(user)
    found: dict[str, Any] = {"file": file, "moderator": moderator, "release": None, "former": [], "names": [], "disagreements": []}
    if blob is not None:
        found["release"] = releases.in_force(blob)
        found["former"] = list(Release.objects.filter(blob=blob).exclude(pk=getattr(found["release"], "pk", None)))
        found["names"] = moderation.names_by_blob([blob.pk]).get(blob.pk, [])
        if moderator:
            found["disagreements"] = list(moderation.open_disagreements().filter(blob=blob))
    refusal = releases.why_not(blob, user)
    found |= {
        "may_release": refusal is None,
        "release_refusal": said(refusal.sentence) if refusal and refusal.code == "release:own" else "",
    }
    found |= {"may_extract": extracting.why_not(user, file) is None, "extraction": extracting.wanted_from(file)}  # type: ignore[arg-type]
    found["extracted"] = extracting.made_from(file)
    found["may_rescan"] = retrying.why_not_judged_again(user, file) is None  # type: ignore[arg-type]
    found["rescan"] = moderation.newest_rescan(blob) if blob is not None and moderator else None
    shown = ("release", "former", "may_release", "may_extract", "extraction", "may_rescan", "disagreements")
    return found | {"anything": any(found[key] for key in shown)}


@login_required
@require_safe
def desk(request: HttpRequest) -> HttpResponse:
    """The moderators' page: what waits, what was released, where scanners disagree, what could not be judged again."""
    _only_moderators(request)
    held, released = moderation.held_back(), moderation.releases_in_force()
    disagreements, failed = moderation.open_disagreements(), moderation.failed_rescans()
    waiting = list(held[:SHOWN])
    rows = {"released": list(released[:SHOWN]), "disagreements": list(disagreements[:SHOWN]), "failed": list(failed[:SHOWN])}
    files = moderation.file_by_blob(row.blob_id for some in rows.values() for row in some)
    names = moderation.names_by_blob(file.blob_id for file in waiting if file.blob_id)
    context: dict[str, Any] = {name: [(row, files.get(row.blob_id)) for row in some] for name, some in rows.items()}
    context["waiting"] = [(file, names.get(file.blob_id or 0, [])) for file in waiting]
    counts = {"waiting": held, "released": released, "disagreements": disagreements, "failed": failed}
    context["counts"] = {name: rows.count() for name, rows in counts.items()}
    context["open_rescans"] = Rescan.objects.filter(state__in=rescans.OPEN).count()
    return render(request, "moderation/desk.html", context | reports.for_desk())


@login_required
@require_POST
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the suspicious bytes of a file through, with a reason."""
    file = access.file_or_404(request, pk)
    _only_moderators(request)

    def act() -> str:
        if file.blob is None:
            raise releases.Refused("release:not-suspicious", "This file has no stored bytes to release.")
        releases.release(file.blob, request.user, request.POST.get("reason", ""))  # type: ignore[arg-type]
        return f"{file.name} is released. It is examined once more and offered when it is ready."

    return _done(request, act, f"/files/{pk}/scan")


@login_required
@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """End a release, with a reason."""
    _only_moderators(request)
    row = get_object_or_404(Release.objects.select_related("blob"), pk=pk)

    def act() -> str:
        releases.withdraw(row, request.user, request.POST.get("reason", ""))  # type: ignore[arg-type]
        return "The release is withdrawn. What stood on these bytes is sealed again."

    return _done(request, act)


@login_required
@require_POST
def settle(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a disagreement of scanners, with a note."""
    _only_moderators(request)
    row = get_object_or_404(Disagreement, pk=pk)

    def act() -> str:
        moderation.settle(row, request.user, request.POST.get("note", ""))  # type: ignore[arg-type]
        return "Settled. The note stays beside the report."

    return _done(request, act)


@login_required
@require_POST
def rescan(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the bytes of a file judged again."""
    file = access.file_or_404(request, pk)

    def act() -> str:
        retrying.judge_again(request.user, file)  # type: ignore[arg-type]
        return f"{file.name} is going to be judged again. Until then its verdict holds."

    return _done(request, act, f"/files/{pk}/scan")


@login_required
@require_POST
def extract(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the tensors of a suspicious file written to safetensors."""
    file = access.file_or_404(request, pk)

    def act() -> str:
        extracting.extract(request.user, file)  # type: ignore[arg-type]
        return f"The tensors of {file.name} are being written to a safetensors file. The file itself stays sealed."

    return _done(request, act, f"/files/{pk}/scan")


def _only_moderators(request: HttpRequest) -> None:
    if not queries.is_moderator(request.user):
        raise PermissionDenied("Only moderators may do this.")


def _done(request: HttpRequest, act: Callable[[], str], where: str = "/moderation") -> HttpResponse:
    """Do it, say what came of it, and lead back to where it was asked: the moderators' page, or the report at `where`."""
    try:
        messages.success(request, printable(act(), 600))
    except FormatError as refusal:
        if getattr(refusal, "status", 0) == 403:
            raise PermissionDenied(said(refusal.sentence)) from None
        messages.error(request, said(refusal.sentence, 600))
    if request.POST.get("from") == "moderation":
        return redirect("moderation")
    return HttpResponseRedirect(_report_of(request) or where)


def _report_of(request: HttpRequest) -> str:
    """The report page that a form of the moderators' partial stood on."""
    number = request.POST.get("file", "")
    return f"/files/{number}/scan" if number.isascii() and number.isdigit() and len(number) < 19 else ""
