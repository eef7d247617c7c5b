"""Suggestions below the search field while one types: models, tags and creators, or where a pasted thing leads. A part of a page."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.web import finding
from hub.web.site import cap_of
from registry import queries, search, spelling, wording
from registry.models import Entry, Tag, User

MODELS, OTHERS = 6, 2


@dataclass
class Suggestions:
    """What is suggested. `meant`: for which words, where those that were typed find nothing; `where`: of a pasted thing."""

    models: list[Entry] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    creators: list[str] = field(default_factory=list)
    meant: str = ""
    where: str = ""

    @property
    def count(self) -> int:
        return len(self.models) + len(self.tags) + len(self.creators) + bool(self.where)


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """The options of the list, empty where there are none."""
    return render(request, "search/suggestions.html", {"suggested": _suggested(request)})


def _suggested(request: HttpRequest) -> Suggestions:
    pasted = finding.understood(request)
    if pasted and (where := finding.address_of(request, pasted)):
        return Suggestions(where=where)
    if pasted and not pasted.hash:
        return Suggestions()
    text = search.clean(request.GET.get("q", ""))
    listed = queries.listed().filter(rating__lte=cap_of(request.user))
    words = wording.words(text)
    if not words or (len(words) == 1 and len(words[0]) < 2 and not wording.is_sign(words[0])):
        return Suggestions()
    found = _of(listed, text)
    if found.count or not (meant := spelling.meant(listed, text, begun=True)):
        return found
    found = _of(listed, meant)
    found.meant = meant
    return found


def _of(listed: QuerySet[Entry], text: str) -> Suggestions:
    tags = Tag.objects.filter(Exists(listed.filter(tags=OuterRef("pk"))), name__startswith=text.lower()).order_by("name")
    spelled = Q(username__startswith=text) | Q(username__startswith=text.lower()) | Q(username__startswith=text.capitalize())
    people = User.objects.filter(spelled, Exists(listed.filter(owner=OuterRef("pk")))).order_by("username")
    return Suggestions(
        search.first(listed, text, MODELS),
        list(tags.values_list("name", flat=True)[:OTHERS]),
        list(people.values_list("username", flat=True)[:OTHERS]),
    )
