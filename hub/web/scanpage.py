"""The page of one file's scan report, and the page that explains the words on it. It shows; what is known of a scan is `hub.verdicts`'."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.verdicts import glossary as meanings
from hub.verdicts import reports, sentences
from hub.web import access, moderation, words
from registry import queries
from registry.models import File

SHOWN_IMPORTS, SHOWN_FINDINGS = 100, 10
"""Rows that stand open; the rest is behind a fold that needs no script."""


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """What was found in the bytes, by which rules, and what to do about it."""
    file = access.file_or_404(request, pk)
    scan = reports.of_file(file)
    rows, found = scan.body["imports"], [_explained(row) for row in scan.body["findings"]]
    context = {
        "file": file,
        "entry": file.version.entry,
        "version": file.version,
        "scan": scan,
        "body": scan.body,
        "imports": [("", rows[:SHOWN_IMPORTS]), ("rest", rows[SHOWN_IMPORTS:])],
        "findings": [("", found[:SHOWN_FINDINGS]), ("rest", found[SHOWN_FINDINGS:])],
        "safety": meanings.SAFETY,
        "layers": [(name, meanings.layer(name)) for name in scan.body["sandbox"]],
        "tensors": reports.tensors_found(file),
        "kind": words.CONTAINERS.get(scan.body["kind"], scan.body["kind"]),
        "reader": reader(request, file),
        "twin": twin(file),
        "actions": moderation.actions(request, file),
        "json_address": f"/api/hub/files/{pk}/scan",
    }
    return render(request, "files/scan.html", context)


@require_safe
def as_json(request: HttpRequest, pk: int) -> HttpResponse:
    """The short way to the same report for programs, which has its permission check itself."""
    return HttpResponseRedirect(f"/api/hub/files/{pk}/scan")


@require_safe
def glossary(request: HttpRequest) -> HttpResponse:
    """What verdicts, codes, safety words and layers mean."""
    context = {
        "verdicts": [(level, sentences.TITLES[level], meanings.VERDICTS[level]) for level in sentences.TITLES],
        "safety": meanings.SAFETY.items(),
        "families": meanings.families(),
        "layers": meanings.LAYERS.items(),
    }
    return render(request, "files/scan_glossary.html", context)


def reader(request: HttpRequest, file: File) -> str:
    """For whom the advice is: "moderator", "owner" or "visitor"; moderators' own files are theirs as moderators."""
    if queries.is_moderator(request.user):
        return "moderator"
    return "owner" if queries.is_owner(request.user, file.version.entry) else "visitor"


def twin(file: File) -> File | None:
    """The safetensors copy of a pickle that can be downloaded instead, the whole one first."""
    if not words.is_pickle(file):
        return None
    made = queries.downloadable_files().filter(source=file, blob__container="safetensors").select_related("blob").order_by("id")
    return made.first()


def _explained(row: dict[str, Any]) -> dict[str, Any]:
    """A finding with what its code means, and its disassembly as (line, whether it is the one that was found)."""
    return {**row, "meaning": meanings.explain(row["code"]), "lines": marked(row["disassembly"], row["offset"])}


def marked(lines: list[str], offset: int | None) -> list[tuple[str, bool]]:
    """Each line with whether it is the culprit's: the one that begins with the finding's byte offset."""
    if offset is None:
        return [(line, False) for line in lines]
    return [(line, line.split(maxsplit=1)[:1] == [str(offset)]) for line in lines]
