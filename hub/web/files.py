"""Pages of one file: its life and what it is; what the scanner found is `scanpage`'s.

Nothing that came out of a file is ever rendered as markup.
"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hub import merging, outcomes, retrying
from hub.said import said
from hub.web import access, detected, filelist, progress, variants
from hub.web.site import back, cap_of
from registry import queries
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    file = access.file_or_404(request, pk)
    shown, may_edit = progress.of_file(file), queries.may_edit(request.user, file.version.entry)
    reports = filelist.latest_reports([file])
    context = {
        "row": filelist.row(shown.file, reports.get(file.blob_id or 0)),
        "work": shown,
        "file": file,
        "version": file.version,
        "entry": file.version.entry,
        "facts": detected.facts(file),
        "derived": [filelist.row(one, None) for one in queries.files_with_blobs().filter(source=file)],
        "merged_into": merging.merged_into(request.user, file, cap_of(request.user)),
        "lineage": merging.lineage_of(request.user, file),
        "made": outcomes.shown(file),
        "offers": variants.offers(request.user, file) if may_edit else [],
        "may_edit": may_edit,
        "can_retry": may_edit and retrying.can_retry(request.user, file),  # type: ignore[arg-type]
    }
    return render(request, "files/file.html", context)


@require_safe
def timeline(request: HttpRequest, pk: int) -> HttpResponse:
    """The timeline alone, asked for again until the file rests."""
    file = access.file_or_404(request, pk)
    may_edit = queries.may_edit(request.user, file.version.entry)
    can_retry = may_edit and retrying.can_retry(request.user, file)  # type: ignore[arg-type]
    context = {"work": progress.of_file(file), "file": file, "may_edit": may_edit, "can_retry": can_retry}
    return render(request, "files/timeline.html", context)


@require_safe
def events(request: HttpRequest, pk: int) -> HttpResponse:
    """Server-sent events that say when the timeline has changed."""
    return stream(request, f"file {access.file_or_404(request, pk).pk}")


def stream(request: HttpRequest, told: str) -> HttpResponse:
    """An answer that becomes a stream of `watching.WorkFeed`; a browser that heard the end and asks again is told to stop."""
    if request.headers.get("Last-Event-ID") == "end":
        return HttpResponse(status=204)
    response = HttpResponse(content_type="text/event-stream")
    response["X-Hub-Events"] = f"work {told}"
    if request.user.is_authenticated:
        response["X-Hub-Listener"] = str(request.user.pk)
    return response


@login_required
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a failed file, or the variants of it that failed, tried again."""
    file = access.editable_file(request, pk)
    try:
        retrying.retry(request.user, file)  # type: ignore[arg-type]
        messages.success(request, _("%(name)s is in the queue again.") % {"name": printable(file.name)})
    except FormatError as refusal:
        messages.error(request, said(refusal.sentence, 600))
    return HttpResponseRedirect(back(request, f"/file/{pk}"))
