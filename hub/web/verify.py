"""Check a copy of a file: the page, and the answer to hashes that the browser, or a command, made. Nothing is uploaded."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub import copies
from hub.web import access
from hub.web.finding import address_of_file
from registry.models import File


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """The page; with `part` only the answer, for the script that hashed. `file`: the one of ours to compare with."""
    pk = request.GET.get("file", "")
    wanted = access.file_or_404(request, int(pk)) if pk.isascii() and pk.isdecimal() and len(pk) < 19 else None
    copy = copies.Copy.read(request.GET)
    outcome = copies.check(request.user, copy, wanted) if copy.asked else None
    context = {"copy": copy, "outcome": outcome, "wanted": wanted, "where": _where(outcome.file if outcome else None)}
    context["wanted_at"] = _where(wanted)
    part = request.GET.get("part", "")
    template = {"answer": "search/checked.html", "drop": "search/drop.html"}.get(part, "search/verify.html")
    return render(request, template, context)


def _where(file: File | None) -> str:
    return address_of_file(file) if file else ""
