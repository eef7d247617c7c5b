"""Creators and tags of what is listed, names of users, and who the caller is.

Only what browsing shows counts here: somebody with nothing but drafts and private models is no creator to others, and a tag that only
they use does not exist.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse

from hub.api.civitai import listing, numbering, parameters
from hub.api.civitai.answers import ApiError, answer, endpoint
from hub.api.civitai.parameters import ListQuery
from hub.downloads import origin_of
from registry.models import Entry, Tag, User

USERS = 20
"""Found by the beginning of their name."""


@endpoint
def creators(request: HttpRequest, user: User | None) -> HttpResponse:
    """GET /api/v1/creators: by name, each with the number of models that a list of them would have."""
    asked = numbering.read(request.GET)
    found = _creators().filter(username__icontains=asked.query).order_by(Lower("username"), "pk")
    names = list(found.values_list("pk", "username")[asked.window])
    counts = dict(_listed().filter(owner__in=[pk for pk, _ in names]).values_list("owner").annotate(Count("pk")))
    link = f"{origin_of(request)}/api/v1/models?username="
    items = [{"username": name, "modelCount": counts.get(pk, 0), "link": link + quote(name, safe="")} for pk, name in names]
    return answer({"items": items, "metadata": numbering.metadata(request, asked, found.count())})


@endpoint
def tags(request: HttpRequest, user: User | None) -> HttpResponse:
    """GET /api/v1/tags: by name, each with the number of listed models that have it."""
    asked = numbering.read(request.GET)
    uses = Entry.tags.through.objects.filter(entry__in=_listed())
    found = Tag.objects.filter(Exists(uses.filter(tag=OuterRef("pk"))), name__icontains=asked.query).order_by("name")
    names = list(found.values_list("pk", "name")[asked.window])
    counts = dict(uses.filter(tag__in=[pk for pk, _ in names]).values_list("tag").annotate(Count("pk")))
    link = f"{origin_of(request)}/api/v1/models?tag="
    items = [{"name": name, "modelCount": counts.get(pk, 0), "link": link + quote(name, safe="")} for pk, name in names]
    return answer({"items": items, "metadata": numbering.metadata(request, asked, found.count())})


@endpoint
def users(request: HttpRequest, user: User | None) -> HttpResponse:
    """GET /api/v1/users: names of `ids`, or those that begin with `query`. Creators of what is listed, and the caller."""
    given = parameters.without_nul(request.GET)
    ids, query = parameters.id_list(given, "ids"), (given.get("query") or "").strip()[:100]
    rule = Q(pk__in=ids) if ids is not None else Q(username__istartswith=query) if query else Q(pk__in=[])
    known = Q(pk__in=_creators().values("pk")) | Q(pk=user.pk if user else None)
    found = User.objects.filter(rule, known).order_by(Lower("username"), "pk").values_list("pk", "username")
    rows = found if ids is not None else found[:USERS]
    return answer({"items": [{"id": pk, "username": name, "avatarNsfw": "None"} for pk, name in rows]})


@endpoint
def me(request: HttpRequest, user: User | None) -> HttpResponse:
    """GET /api/v1/me. The address of the caller's letters is not told: tokens lie in many programs."""
    if user is None:
        raise ApiError(401, "Unauthorized")
    data: dict[str, Any] = {"id": user.pk, "username": user.username, "tier": "free", "status": "active"}
    return answer(data | {"isMember": False, "subscriptions": [], "isModerator": user.moderates})


def _listed() -> QuerySet[Entry]:
    """What GET /api/v1/models lists, of every rating."""
    return listing.matching(ListQuery(nsfw=True))[0]


def _creators() -> QuerySet[User]:
    return User.objects.filter(Exists(_listed().filter(owner=OuterRef("pk"))), is_active=True)
