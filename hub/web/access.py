"""Finds what an address names, for this visitor: what is private looks exactly like what does not exist."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from hub.web.site import cap_of
from registry import queries
from registry.models import Entry, File, Rating, Version


def entry_or_404(request: HttpRequest, **where: Any) -> Entry:
    """An entry that this visitor may read, tombstones included."""
    entry = queries.readable(request.user).select_related("owner").filter(**where).first()
    if entry is None:
        raise Http404
    return entry


def above_limit(request: HttpRequest, entry: Entry) -> HttpResponse | None:
    """The page that says that this entry is rated above the visitor's own limit; None where it is not, or theirs to edit."""
    if entry.rating <= cap_of(request.user) or queries.may_edit(request.user, entry):
        return None
    names = dict(Rating.choices)
    return render(request, "catalog/above_cap.html", {"rating": names[entry.rating], "limit": names.get(cap_of(request.user), "PG")})


def version_or_404(request: HttpRequest, pk: int) -> Version:
    version = Version.objects.select_related("entry__owner").filter(pk=pk).first()
    if version is None or not queries.may_read_version(request.user, version):
        raise Http404
    return version


def file_or_404(request: HttpRequest, pk: int) -> File:
    """A file whose version this visitor may read."""
    file = File.objects.select_related("version__entry__owner", "blob", "source").filter(pk=pk).first()
    if file is None or not queries.may_see_file(request.user, file):
        raise Http404
    return file


def editable_entry(request: HttpRequest, pk: int) -> Entry:
    """An entry to change: 404 where it may not be read, 403 where it may only be read."""
    entry = entry_or_404(request, pk=pk)
    if not queries.may_edit(request.user, entry):
        raise PermissionDenied("Only its creator may change this model.")
    return entry


def editable_version(request: HttpRequest, pk: int) -> Version:
    version = version_or_404(request, pk)
    if not queries.may_edit(request.user, version.entry):
        raise PermissionDenied("Only its creator may change this model.")
    return version


def editable_file(request: HttpRequest, pk: int) -> File:
    file = file_or_404(request, pk)
    if not queries.may_edit(request.user, file.version.entry):
        raise PermissionDenied("Only its creator may do this with the file.")
    return file
