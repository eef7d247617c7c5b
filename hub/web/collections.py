"""The page of a collection, and what its owner changes of it. What others see of it is `registry.saving`'s rule."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hub import pictures
from hub.said import said
from inference import previews
from registry import saving
from registry.models import Collected, Collection
from registry.saving import NoSaving

PAGE = 60


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """One's own, or a public one; any other does not exist."""
    found = _find(request, pk)
    after = request.GET.get("after", "")
    place = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
    items = list(saving.contents(request.user, found, place)[: PAGE + 1])
    shown = items[:PAGE]
    context = {
        "collection": found,
        "rows": _with_covers(shown),
        "after": shown[-1].pk if len(items) > PAGE else 0,
        "own": found.owner_id == request.user.pk,
    }
    return render(request, "community/collection.html", context)


def _with_covers(items: list[Collected]) -> list[tuple[Any, str]]:
    """Each entry with the address of the picture that stands for it, "" for none. One query."""
    versions = {item.entry_id: facts.version_id for item in items if (facts := getattr(item.entry, "facts", None))}
    found = previews.covers([pk for pk in versions.values() if pk])
    rows = []
    for item in items:
        picture = found.get(versions.get(item.entry_id) or 0)
        rows.append((item.entry, pictures.small(picture, item.entry.slug)[0] if picture else ""))
    return rows


@login_required
@require_POST
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename it, show it to others or not, take a model out of it, or delete it. Only its owner."""
    found = _find(request, pk)
    if found.owner_id != request.user.pk:
        raise Http404
    given, what = request.POST, request.POST.get("do", "")
    if what == "delete":
        found.delete()
        messages.success(request, _("The collection is deleted. The models in it are not."))
        return redirect("my-saved")
    entry = given.get("entry", "")
    try:
        if what == "remove" and entry.isascii() and entry.isdigit() and len(entry) < 19:
            saving.remove(found, int(entry))
            messages.success(request, _("It is out of this collection."))
        elif what == "change":
            saving.change(found, given.get("name", ""), public=bool(given.get("public")))
            messages.success(request, _("Saved."))
    except NoSaving as refusal:
        messages.error(request, said(refusal.sentence))
    return redirect("collection", pk)


def _find(request: HttpRequest, pk: int) -> Collection:
    found = saving.collection(request.user, pk)
    if found is None:
        raise Http404
    return found
