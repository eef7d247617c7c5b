"""Several models at once, one for each file that was chosen: their drafts are made together, and their files are watched on one page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from hub.web import progress
from hub.web.forms import RowForm, SharedForm
from hub.web.sending import open_uploads, script_data
from registry import catalog, queries
from registry.models import Version

MOST = 50
"""Models that are made at once: what one page can show."""


@login_required
@require_POST
def create(request: HttpRequest) -> HttpResponse:
    """Make a draft for each row of the form and go to the page of their files; 422 and what is wrong, row by row, where any is wrong."""
    count = request.POST.get("count", "")
    if not (count.isascii() and count.isdigit() and len(count) < 4 and 1 <= int(count) <= MOST):
        return JsonResponse({"rows": {}, "error": f"Between 1 and {MOST} models are made at once."}, status=422)
    shared = SharedForm(request.POST, prefix="all", owner=request.user)
    rows = [RowForm(request.POST, prefix=str(place)) for place in range(int(count))]
    wrong = {place: row.errors for place, row in enumerate(rows) if not row.is_valid()}
    if wrong or not shared.is_valid():
        return JsonResponse({"rows": wrong}, status=422)
    versions = _make(request, rows, shared)
    return redirect(f"/upload/several?{urlencode([('v', version.pk) for version in versions])}")


@transaction.atomic
def _make(request: HttpRequest, rows: list[RowForm], shared: SharedForm) -> list[Version]:
    made = []
    for row in rows:
        fields = row.cleaned_data
        entry = catalog.create_entry(request.user, name=fields["name"], kind=fields["kind"], **shared.cleaned_data)  # type: ignore[arg-type]
        about = {"base_model": fields["base_model"], "trigger_words": fields["trigger_words"]}
        made.append(catalog.create_version(entry, name=fields["version"] or "v1", **about))
    return made


@login_required
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """The files of several drafts: send them, go on with those that were interrupted, see what became of each."""
    versions = _asked(request)
    interrupted = [upload for version in versions for upload in open_uploads(version)]
    context = {"open_uploads": interrupted, "upload_data": script_data(request, versions, interrupted), **_work(versions)}
    return render(request, "uploads/several.html", context)


@login_required
@require_safe
def work(request: HttpRequest) -> HttpResponse:
    """The part of that page which changes."""
    return render(request, "uploads/several_work.html", _work(_asked(request)))


def _work(versions: list[Version]) -> dict[str, Any]:
    rows = progress.of_versions(versions)
    drafts = [{"version": version, "files": rows[version.pk]} for version in versions]
    resting = all(row.resting for found in rows.values() for row in found) and all(rows.values())
    return {"drafts": drafts, "resting": resting, "query": urlencode([("v", version.pk) for version in versions])}


def _asked(request: HttpRequest) -> list[Version]:
    """The versions that the address names, all of them the visitor's to change; 404 for any that is not."""
    pks = [int(text) for text in request.GET.getlist("v")[:MOST] if text.isascii() and text.isdigit() and len(text) < 19]
    found = Version.objects.select_related("entry__owner").in_bulk(pks)
    versions = [found[pk] for pk in dict.fromkeys(pks) if pk in found]
    if not versions or len(versions) < len(set(pks)):
        raise Http404
    if not all(queries.may_edit(request.user, version.entry) and not version.gone for version in versions):
        raise Http404
    return versions
