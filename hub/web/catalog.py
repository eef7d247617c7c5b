"""Browse: the grid at `/`, and short addresses that lead to model pages. Questions are asked in `browse.py`."""

from __future__ import annotations

import re

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from hub.web import access, browse
from hub.web.site import cap_of
from registry import queries
from registry.models import Rating


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The grid. A request by htmx for further cards gets only those."""
    filters = browse.Filters.read(request.GET)
    cap = cap_of(request.user)
    shown = browse.page(filters, cap)
    context = {"page": shown, "filters": filters, "sorts": browse.SORTS, "cap": Rating(cap).label if cap in Rating.values else ""}
    htmx = getattr(request, "htmx", None)
    if htmx and htmx.target == "cards":
        return render(request, "catalog/more.html", context)
    browse.facets(shown, cap)
    return render(request, "catalog/home.html", context)


@require_safe
def model_by_id(request: HttpRequest, pk: int, title: str = "") -> HttpResponse:
    """As Civitai writes addresses: `title` is for people only, and `modelVersionId` names one of the model's versions."""
    entry = access.entry_or_404(request, pk=pk)
    wanted = re.fullmatch(r"\d{1,18}", request.GET.get("modelVersionId", ""), re.ASCII)
    if wanted and queries.readable_versions(request.user).filter(pk=int(wanted[0]), entry=entry).exists():
        return redirect("model-version", creator=entry.owner.username, slug=entry.slug, version=int(wanted[0]))
    return redirect("model", creator=entry.owner.username, slug=entry.slug)


@require_safe
def version_by_id(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.version_or_404(request, pk)
    return redirect("model-version", creator=version.entry.owner.username, slug=version.entry.slug, version=pk)


@require_safe
def creator(request: HttpRequest, creator: str) -> HttpResponse:
    """A creator's address shows their models in the grid; unknown names do not exist."""
    from registry.models import User

    person = User.objects.filter(username__iexact=creator, is_active=True).first()
    if person is None:
        raise Http404
    return redirect(f"/?creator={person.username}")


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    return render(request, "catalog/about.html")
