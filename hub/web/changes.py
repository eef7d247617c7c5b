"""What a creator does to a model from its page: edit, publish, withdraw, delete. Rules and writes are `registry.catalog`'s."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.timezone import is_aware, make_aware
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from hub.said import said
from hub.web import access
from hub.web.forms import BASES, SPDX, EntryForm, VersionForm
from hub.web.site import back
from registry import catalog, rerating
from registry import schedule as schedules
from registry.formats.errors import FormatError
from registry.models import Entry, Version


def page_of(version: Version) -> HttpResponse:
    return redirect("model-version", creator=version.entry.owner.username, slug=version.entry.slug, version=version.pk)


def entry_page(entry: Entry) -> HttpResponse:
    return redirect("model", creator=entry.owner.username, slug=entry.slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_entry(request: HttpRequest, pk: int) -> HttpResponse:
    entry = access.editable_entry(request, pk)
    form = EntryForm(request.POST or None, instance=entry, owner=entry.owner)
    if request.method == "POST" and form.is_valid() and _changed(request, pk, form):
        messages.success(request, _("Saved."))
        return entry_page(entry)
    return render(
        request,
        "catalog/edit.html",
        {"form": form, "entry": entry, "title": _("Edit %(name)s") % {"name": entry.name}, "bases": BASES, "spdx": SPDX},
    )


def _changed(request: HttpRequest, pk: int, form: EntryForm) -> bool:
    """Whether it could be saved; else the form says why not."""
    fields = dict(form.cleaned_data)
    try:
        rerating.change_entry(request.user, Entry.objects.select_related("owner").get(pk=pk), tags=fields.pop("tags"), **fields)  # type: ignore[arg-type]
    except rerating.HeldUp as refusal:
        form.add_error("rating", said(refusal.sentence))
        return False
    return True


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_version(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    form = VersionForm(request.POST or None, instance=version)
    if request.method == "POST" and form.is_valid():
        catalog.change_version(Version.objects.select_related("entry__owner").get(pk=pk), **form.cleaned_data)
        messages.success(request, _("Saved."))
        return page_of(version)
    context = {
        "form": form,
        "entry": version.entry,
        "title": _("Edit version %(name)s") % {"name": version.name},
        "bases": BASES,
        "spdx": SPDX,
    }
    return render(request, "catalog/edit.html", context)


@login_required
@require_POST
def publish(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    try:
        catalog.publish(version)
    except FormatError as refusal:
        messages.error(request, said(refusal.sentence))
    else:
        messages.success(request, _("%(entry)s %(version)s is published.") % {"entry": version.entry.name, "version": version.name})
    return page_of(version)


@login_required
@require_POST
def schedule(request: HttpRequest, pk: int) -> HttpResponse:
    """Publish a draft at a moment given in UTC, or no longer at one; back to where it was asked."""
    version = access.editable_version(request, pk)
    if request.POST.get("cancel"):
        schedules.cancel(version)
        messages.success(request, _("It is published only when you say so."))
        return redirect(back(request, f"/upload/{pk}"))
    try:
        schedules.schedule(version, _moment(request.POST.get("at", "")))
    except catalog.Refused as refusal:
        messages.error(request, said(refusal.sentence))
    else:
        messages.success(
            request, _("It will be published on %(moment)s UTC.") % {"moment": date_format(version.publish_at, "DATETIME_FORMAT")}
        )
    return redirect(back(request, f"/upload/{pk}"))


def _moment(text: str) -> datetime:
    """A moment as a browser's field gives it, in UTC where it names no zone. Raises `catalog.Refused`."""
    try:
        at = parse_datetime(text[:40])
        if at is not None:
            return at if is_aware(at) else make_aware(at, UTC)
    except (ValueError, OverflowError):
        pass
    raise catalog.Refused("schedule:moment", _("Choose a day and an hour."))


@login_required
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """The creator's answer to what the tensors contradict; back to where it was asked."""
    version = access.editable_version(request, pk)
    given = {name: request.POST.get(name, "").replace("\x00", "") for name in ("about", "detected", "reason")}
    try:
        catalog.answer(version, request.user, keep=bool(request.POST.get("keep")), **given)  # type: ignore[arg-type]
    except FormatError as refusal:
        messages.error(request, said(refusal.sentence))
    else:
        messages.success(
            request, _("Your answer is kept: visitors read it.") if request.POST.get("keep") else _("Changed to what the tensors say.")
        )
    return redirect(back(request, f"/model-versions/{pk}"))


@login_required
@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    catalog.withdraw(version, request.POST.get("reason", "").strip())
    messages.success(request, _("Withdrawn. Name, details and hashes stay on this page; the files are no longer offered."))
    return page_of(version)


@login_required
@require_POST
def delete_version(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    entry, name = version.entry, version.name
    catalog.delete_version(version, request.POST.get("reason", "").strip())
    messages.success(request, _("Version %(name)s is deleted.") % {"name": name})
    return entry_page(entry)


@login_required
@require_POST
def delete_entry(request: HttpRequest, pk: int) -> HttpResponse:
    entry = access.editable_entry(request, pk)
    catalog.delete_entry(entry, request.POST.get("reason", "").strip())
    messages.success(request, _("%(name)s is deleted.") % {"name": entry.name})
    return redirect("my-models")
