"""Browse: the grid at `/`, and short addresses that lead to model pages. Cards are `browse.py`'s, counts `facets.py`'s."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from hub.web import access, browse, facets, finding, workswith
from hub.web.filters import MAX_SHOWN, SIZES, Filters
from hub.web.workswith import Checkpoint
from registry import queries, ratings, spelling
from registry.models import Rating
from registry.ratings import Sight


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The grid. A request by htmx for further cards gets only those, as many as it names where a page is put together again."""
    if (led := finding.answer(request)) is not None:
        return led
    filters, checkpoint = workswith.resolve(request.user, Filters.read(request.GET))
    sight, htmx = ratings.sight_of(request.user), getattr(request, "htmx", None)
    if htmx and htmx.target == "cards":
        shown = browse.page(filters, sight, _rows(request))
        response = render(request, "catalog/more.html", _cards(filters, shown))
    else:
        response = render(request, "catalog/home.html", _whole(request, filters, sight, checkpoint))
    patch_vary_headers(response, ["HX-Request", "HX-Target"])  # one address, two answers: no cache may give one for the other
    return response


def _whole(request: HttpRequest, filters: Filters, sight: Sight, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """What the page shows. Where nothing has the words, and a typing error may be why, it shows what was probably meant."""
    asked, name = filters, checkpoint.name if checkpoint else ""
    panel = facets.panel(filters, sight.limit, name)
    if filters.text and not filters.exact and not panel.total and not panel.hidden:
        meant = spelling.meant(queries.listed().filter(rating__lte=sight.limit), filters.text)
        if meant:
            filters = replace(filters, text=meant)
            panel = facets.panel(filters, sight.limit, name)
    shown = browse.page(filters, sight)
    shown.meant = filters.text if filters.text != asked.text else ""
    return _cards(filters, shown) | {
        "filters": asked,
        "panel": panel,
        "checkpoint": checkpoint,
        "families": " / ".join(filters.families),
        "without_fits": filters.but(fits=0, families=()).address,
        "search_alone": Filters(text=filters.text, sort=filters.sort).address,
        "here": request.build_absolute_uri(asked.but().address),
        "cap": Rating(sight.limit).label if sight.limit in Rating.values else "",
        "sizes": [(per, filters.but(per=per).address) for per in SIZES],
        "kept": {name: filters.pairs(*fields, "after") for name, fields in FORMS.items()},
    }


def _cards(filters: Filters, shown: browse.Page) -> dict[str, Any]:
    following = replace(filters, after=shown.next_after).address if shown.next_after else ""
    return {"page": shown, "filters": filters, "following": following, "first": filters.but().address}


FORMS = {"size": ("low", "high"), "creator": ("creator",), "tags": (), "search": ("text", "sort", "exact")}
"""Forms of the page and the fields of the question that each of them sets; the others go along hidden."""


def _rows(request: HttpRequest) -> int:
    """How many cards htmx asks for; 0 for a page as usual."""
    wanted = request.GET.get("show", "")
    return min(int(wanted), MAX_SHOWN) if re.fullmatch(r"[1-9]\d{0,3}", wanted, re.ASCII) else 0


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
