"""Upload pages: describe a model, then send its files and watch what becomes of them. The bytes go through `/api/hub/`."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.web import access, progress
from hub.web.files import stream
from hub.web.forms import BASES, SPDX, EntryForm, RowForm, SharedForm, TargetForm, VersionForm
from hub.web.sending import open_uploads, script_data
from registry import agreements, catalog, queries, uploads
from registry.agreements import Question
from registry.lifecycle import LostRace
from registry.models import Entry, Status, Upload, Version

ENTRY, VERSION = "model", "version"
"""Prefixes: both forms stand on one page and both have a name."""


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """Describe the model and its version; leads on to its files. With `?model=` for a new version of one of mine."""
    mine = queries.owned_by(request.user)  # type: ignore[arg-type]
    data = request.POST if request.method == "POST" else None
    target = TargetForm(data, entries=mine, initial={"entry": request.GET.get("model")})
    existing = _target(target, request, mine)
    entry_form, version_form = (
        EntryForm(data if existing is None else None, prefix=ENTRY, owner=request.user),
        VersionForm(data, prefix=VERSION),
    )
    if data is not None and target.is_valid() and version_form.is_valid() and (existing is not None or entry_form.is_valid()):
        version = _create(request, existing, entry_form, version_form)
        return redirect("upload-files", pk=version.pk)
    context = {
        "target": target,
        "existing": existing,
        "entry_form": entry_form,
        "version_form": version_form,
        "bases": BASES,
        "spdx": SPDX,
        "row_form": RowForm(),
        "shared_form": SharedForm(prefix="all", owner=request.user),
        "upload_data": script_data(request, [], []),
    }
    return render(request, "uploads/start.html", context, status=422 if data is not None else 200)


def _target(target: TargetForm, request: HttpRequest, mine: Any) -> Entry | None:
    """The existing entry that was chosen, in the form or in the address."""
    if request.method == "POST":
        return target.cleaned_data.get("entry") if target.is_valid() else None
    wanted = request.GET.get("model", "")
    return mine.filter(pk=int(wanted)).first() if wanted.isascii() and wanted.isdigit() and len(wanted) < 19 else None


@transaction.atomic
def _create(request: HttpRequest, existing: Entry | None, entry_form: EntryForm, version_form: VersionForm) -> Version:
    entry = existing or catalog.create_entry(request.user, **entry_form.cleaned_data)  # type: ignore[arg-type]
    return catalog.create_version(entry, **version_form.cleaned_data)


@login_required
@require_safe
def files(request: HttpRequest, pk: int) -> HttpResponse:
    """Send files to a version; shows uploads that were interrupted and the work on what has arrived."""
    version = access.editable_version(request, pk)
    if version.gone:
        raise Http404
    interrupted = open_uploads(version)
    data = script_data(request, [version], interrupted)
    context = {"version": version, "entry": version.entry, "open_uploads": interrupted, "upload_data": data, **_work(version)}
    return render(request, "uploads/files.html", context)


@login_required
@require_safe
def work(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of that page which changes: asked for every second or two until everything rests."""
    version = access.editable_version(request, pk)
    shown = _work(version)
    anew = request.GET.get("asked", "") != shown["asked"]
    return render(request, "uploads/work.html", {"version": version, "entry": version.entry, "asked_anew": anew, **shown})


@login_required
@require_safe
def events(request: HttpRequest, pk: int) -> HttpResponse:
    """Server-sent events that say when that part has changed. `hub.transport.events` tells them, no thread is held."""
    return stream(request, f"version {access.editable_version(request, pk).pk}")


def _work(version: Version) -> dict[str, Any]:
    rows = progress.of_version(version)
    everything = list(version.files.select_related("blob"))
    questions = agreements.unanswered(version, everything)
    waits_for = "" if version.status == Status.PUBLISHED else catalog.waits_for(everything) or agreements.request_for(questions)
    resting = all(row.resting for row in rows)
    return {"progress": rows, "resting": resting, "waits_for": waits_for, "questions": questions, "asked": _names(questions)}


def _names(questions: list[Question]) -> str:
    """Which questions stand on the page: they are sent again only when others come in, so that nobody's half a sentence is lost."""
    return " ".join(f"{question.about}:{question.declared}:{question.detected}" for question in questions)


@login_required
@require_POST
def discard(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Give up an interrupted upload and free what it took."""
    upload = Upload.objects.select_related("file__version__entry").filter(pk=pk).first()
    if upload is None or not queries.may_edit(request.user, upload.file.version.entry):
        raise PermissionDenied(_("This upload is not yours."))
    try:
        if upload.completed_at is None:
            uploads.cancel(upload)
            messages.success(request, _("The interrupted upload of %(name)s is discarded.") % {"name": upload.file.name})
    except LostRace:
        messages.error(request, _("This upload was finished in the meantime."))
    return redirect("upload-files", pk=upload.file.version_id)
