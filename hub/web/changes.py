"""What a creator does to a model from its page: edit, publish, withdraw, delete. Rules and writes are `registry.catalog`'s."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from hub.web import access
from hub.web.forms import BASES, SPDX, EntryForm, VersionForm
from hub.web.site import back
from registry import catalog
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
    form = EntryForm(request.POST or None, instance=entry)
    if request.method == "POST" and form.is_valid():
        fields = dict(form.cleaned_data)
        catalog.change_entry(Entry.objects.get(pk=pk), tags=fields.pop("tags"), **fields)
        messages.success(request, "Saved.")
        return entry_page(entry)
    return render(request, "catalog/edit.html", {"form": form, "entry": entry, "title": f"Edit {entry.name}", "bases": BASES, "spdx": SPDX})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_version(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    form = VersionForm(request.POST or None, instance=version)
    if request.method == "POST" and form.is_valid():
        catalog.change_version(Version.objects.select_related("entry__owner").get(pk=pk), **form.cleaned_data)
        messages.success(request, "Saved.")
        return page_of(version)
    context = {"form": form, "entry": version.entry, "title": f"Edit version {version.name}", "bases": BASES, "spdx": SPDX}
    return render(request, "catalog/edit.html", context)


@login_required
@require_POST
def publish(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    try:
        catalog.publish(version)
    except FormatError as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(request, f"{version.entry.name} {version.name} is published.")
    return page_of(version)


@login_required
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """The creator's answer to what the tensors contradict; back to where it was asked."""
    version = access.editable_version(request, pk)
    given = {name: request.POST.get(name, "").replace("\x00", "") for name in ("about", "detected", "reason")}
    try:
        catalog.answer(version, request.user, keep=bool(request.POST.get("keep")), **given)  # type: ignore[arg-type]
    except FormatError as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(
            request, "Your answer is kept: visitors read it." if request.POST.get("keep") else "Changed to what the tensors say."
        )
    return redirect(back(request, f"/model-versions/{pk}"))


@login_required
@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    catalog.withdraw(version, request.POST.get("reason", "").strip())
    messages.success(request, "Withdrawn. Name, details and hashes stay on this page; the files are no longer offered.")
    return page_of(version)


@login_required
@require_POST
def delete_version(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    entry, name = version.entry, version.name
    catalog.delete_version(version, request.POST.get("reason", "").strip())
    messages.success(request, f"Version {name} is deleted.")
    return entry_page(entry)


@login_required
@require_POST
def delete_entry(request: HttpRequest, pk: int) -> HttpResponse:
    entry = access.editable_entry(request, pk)
    catalog.delete_entry(entry, request.POST.get("reason", "").strip())
    messages.success(request, f"{entry.name} is deleted.")
    return redirect("my-models")
