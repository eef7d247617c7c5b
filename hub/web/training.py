"""The page of what a file says of its training, and what of it the model page shows. Sorted by `hub.training`."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub import training
from hub.training import Training
from hub.web import access
from hub.web.filelist import FileRow
from registry.models import Entry, Role


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """All that is known of one file's training, and which of its metadata is kept from visitors."""
    file = access.file_or_404(request, pk)
    found = training.of_file(file, look_inside=True)
    context = {"file": file, "version": file.version, "entry": file.version.entry, "training": found, "whole": True}
    return render(request, "depth/training_page.html", context)


def of_rows(entry: Entry, rows: Iterable[FileRow]) -> Training | None:
    """For the model page: of the creator's own files first, for what the hub makes of them says the same."""
    files = sorted((row.file for row in rows), key=lambda file: file.role != Role.UPLOADED)
    return training.of_version(entry.kind, files)
