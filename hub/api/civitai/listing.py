"""GET /api/v1/models: the question as a query over listed entries, one page of it, and where the next begins."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, FloatField, OuterRef, Q, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils import timezone

from hub.api.civitai import paging, parameters, permissions, shapes, vocabulary, whole
from hub.api.civitai.parameters import ListQuery
from hub.downloads import origin_of
from inference.models import Merge
from registry import queries, ratings, search, spelling
from registry.identify.bases import TABLES
from registry.models import Entry, File, Kind, Rating, Version
from registry.statements import Given, Kept, Statement

BELIEVED_SECONDS = 60
LARGE_TOTAL = 1000
_totals: dict[str, tuple[float, int]] = {}
"""Totals above `LARGE_TOTAL` by question: counting many rows costs more than reading a page, and nobody sees them change by a few."""

_statements = Kept(500)
"""By question: most ask for the front page, or for one kind or base model of it."""
KEPT_LENGTH = 2000
"""Characters of a question whose statement is worth keeping: one that names a thousand ids is asked once, and would take much room."""
_SPELLINGS = {base.base.lower(): base.base for table in TABLES.values() for base in table if base.base}


def page(request: HttpRequest, query: ListQuery) -> dict[str, Any]:
    """{"items": [...], "metadata": {...}}; `nextCursor` and `nextPage` are absent on the last page."""
    order = _order(query)
    places = _since(query)
    total = _total(query, order, places)
    if not total and query.query and (meant := spelling.meant(_in_sight(query), query.query)):
        return page(request, replace(query, query=meant))
    if query.cursor:
        places |= paging.given(paging.place_of(order, query.cursor))
    read = _statement("page", query, order).run(**places) if query.limit else []
    more, found = len(read) > query.limit, [whole.entry(row) for row in read[: query.limit]]
    origin = origin_of(request)
    metadata: dict[str, Any] = {"totalItems": total, "pageSize": query.limit, "totalPages": -(-total // query.limit) if query.limit else 0}
    if query.page:
        metadata["currentPage"] = query.page
    if more:
        cursor = paging.cursor_of(order, order.place(found[-1]))
        metadata |= {"nextCursor": cursor, "nextPage": paging.next_page(request, cursor)}
    for entry in found:
        entry.versions = [version for version in entry.versions if version.files]
    items = [shapes.model_object(origin, entry, primary_only=query.primary_only) for entry in found if entry.versions]
    return {"items": items, "metadata": metadata}


def _in_sight(query: ListQuery) -> QuerySet[Entry]:
    """Entries whose words may mend a question: those that lists show to whoever asks."""
    return queries.listed() if query.nsfw else queries.listed().filter(rating=Rating.PG)


def _statement(what: str, query: ListQuery, order: paging.Order) -> Statement:
    """The statement of a page, or that of all entries of the question; those of one question differ in nothing but their places."""
    make = _window if what == "page" else _all
    if _hashed(query):
        return Statement(make(query, order))  # what it means depends on which hashes are known now
    text = parameters.dump(query)
    if len(text) > KEPT_LENGTH:
        return Statement(make(query, order))
    asked = (what, text, settings.CLAMD_SOCKET, ratings.cap())
    place = (order.name, query.limit, query.page, bool(query.cursor)) if what == "page" else ()
    return _statements.get((*asked, *place), lambda: make(query, order))


def _all(query: ListQuery, order: paging.Order) -> QuerySet[Entry, Any]:
    return _searched(matching(query)[0], query, order).order_by().values_list("pk")


def _window(query: ListQuery, order: paging.Order) -> QuerySet[Entry, Any]:
    """One row more than a page has: it says whether there is another."""
    entries, versions = matching(query)
    entries = order.apply(_searched(entries, query, order))
    if query.cursor:
        entries = order.after(entries)
    start = (query.page - 1) * query.limit if query.page else 0
    entries = entries[start : start + query.limit + 1]
    if start:  # nothing is read below the entries that are passed over
        entries = order.apply(Entry.objects.filter(pk__in=entries.values("pk")))
    return whole.entries(entries, versions)


def _since(query: ListQuery) -> dict[str, datetime]:
    days = vocabulary.PERIOD_DAYS[query.period]
    return {} if days is None else {"since": timezone.now() - timedelta(days=days)}


def matching(query: ListQuery) -> tuple[QuerySet[Entry], QuerySet[Version]]:
    """Listed entries that have something to download, and the versions to show of them.

    Versions without a file to download are among the latter: whoever reads the files drops them, which is cheaper than asking twice.
    With a period the place `since` is open.
    """
    versions = queries.published_versions()
    if query.base_models:
        versions = versions.filter(base_model__in=_base_models(query.base_models))
    if query.version_ids is not None:
        versions = versions.filter(pk__in=query.version_ids)
    downloadable = queries.downloadable_files().filter(version=OuterRef("pk"))
    if query.formats:
        containers = [name for wanted in query.formats for name in vocabulary.CONTAINERS_OF_FORMAT.get(wanted, [])]
        versions = versions.filter(Exists(downloadable.filter(blob__container__in=containers)))
    if query.renderable:
        versions = versions.filter(Exists(permissions.rendered_weights().filter(version=OuterRef("pk"))))
    offered = versions.filter(Exists(downloadable), entry=OuterRef("pk"))
    entries = queries.listed().filter(Exists(offered), published_at__isnull=False)
    return _by_entry(entries, query), versions


def _by_entry(entries: QuerySet[Entry], query: ListQuery) -> QuerySet[Entry]:
    if not query.nsfw:
        entries = entries.filter(rating=Rating.PG)
    if query.ids is not None:
        entries = entries.filter(pk__in=query.ids)
    if query.types:
        entries = entries.filter(_type_rule(query.types))
    if query.checkpoint_type:
        entries = entries.filter(~Q(kind=Kind.CHECKPOINT) | _merged_rule(query.checkpoint_type))
    for name in query.tags:
        entries = entries.filter(tags__name=name)
    if query.without_tags:
        entries = entries.exclude(tags__name__in=query.without_tags)
    if query.username:
        entries = entries.filter(owner__username__iexact=query.username)
    if vocabulary.PERIOD_DAYS[query.period] is not None:
        entries = entries.filter(published_at__gte=Given("since", "timestamptz"))
    if query.commercial_use:
        wanted = [use for use in query.commercial_use if use != "None"]
        rule = Q(allow_commercial_use__overlap=wanted) if wanted else Q(pk__in=[])
        entries = entries.filter(rule | Q(allow_commercial_use=[]) if "None" in query.commercial_use else rule)
    if query.nothing:
        return entries.none()
    return entries.filter(**query.licence)


def _type_rule(types: tuple[str, ...]) -> Q:
    """By kind; LoCon and DoRA are LoRAs whose tensors say so, LORA the others."""
    rule = Q(kind__in=[vocabulary.KIND_OF_TYPE[name] for name in types if name in vocabulary.KIND_OF_TYPE and name != "LORA"])
    asked = {name for name in ("LORA", "LoCon", "DoRA") if name in types}
    if len(asked) == 3:
        return rule | Q(kind=Kind.LORA)
    for name in asked:
        flavours = [flavour for flavour, of in vocabulary.TYPE_OF_FLAVOUR.items() if name in {of, "LORA"}]
        files = File.objects.filter(version__entry=OuterRef("pk"), blob__detected__flavour__in=flavours)
        rule |= Q(kind=Kind.LORA) & (~Exists(files) if name == "LORA" else Q(Exists(files)))
    return rule


def _merged_rule(checkpoint_type: str) -> Exists:
    """Merged is what the hub merged itself, and what says so in its metadata; everything else counts as trained."""
    files = File.kept.filter(version__entry=OuterRef("pk"), version__in=queries.published_versions())
    merged = Exists(Merge.objects.filter(result=OuterRef("pk"))) | Q(blob__detected__training__has_key="merged_from")
    found = Exists(files.filter(merged))
    return found if checkpoint_type == "Merge" else ~found


def _base_models(given: tuple[str, ...]) -> set[str]:
    """As given, and as the hub spells them where only the case differs: base models are free text, so none is refused."""
    return {*given, *(_SPELLINGS[name.lower()] for name in given if name.lower() in _SPELLINGS)}


def _order(query: ListQuery) -> paging.Order:
    """A search is by relevance unless it asks for another order; what looks like a hash has none."""
    return paging.RELEVANCE if query.query and not query.sort and not _hashed(query) else paging.order_of(query.sort)


def _hashed(query: ListQuery) -> bool:
    return search.looks_like_hash(query.query)


def _searched(entries: QuerySet[Entry], query: ListQuery, order: paging.Order) -> QuerySet[Entry]:
    if not query.query:
        return entries
    entries = search.search(entries, query.query).order_by()
    # As a double: the cursor must hold exactly the number that the database compares.
    return entries.annotate(relevance=Cast("rank", FloatField())) if order is paging.RELEVANCE else entries


def _total(query: ListQuery, order: paging.Order, places: dict[str, Any]) -> int:
    key, now = parameters.dump(query), time.monotonic()
    known = _totals.get(key)
    if known and now - known[0] < BELIEVED_SECONDS:
        return known[1]
    total = _statement("total", query, order).count(**places)
    if total > LARGE_TOTAL:
        if len(_totals) > LARGE_TOTAL:
            _totals.clear()
        _totals[key] = now, total
    return total
