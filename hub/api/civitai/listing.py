"""GET /api/v1/models: the question as a query over listed entries, one page of it, and where the next begins."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.db.models import Exists, FloatField, OuterRef, Q, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils import timezone

from hub.api.civitai import paging, parameters, rows, shapes, vocabulary
from hub.api.civitai.parameters import ListQuery
from hub.downloads import origin_of
from registry import queries
from registry.identify.bases import TABLES
from registry.models import Entry, File, Kind, Rating, Version

BELIEVED_SECONDS = 60
LARGE_TOTAL = 1000
_totals: dict[str, tuple[float, int]] = {}
"""Totals above `LARGE_TOTAL` by question: counting many rows costs more than reading a page, and nobody sees them change by a few."""

_SPELLINGS = {base.base.lower(): base.base for table in TABLES.values() for base in table if base.base}


def page(request: HttpRequest, query: ListQuery) -> dict[str, Any]:
    """{"items": [...], "metadata": {...}}; `nextCursor` and `nextPage` are absent on the last page."""
    entries, versions = matching(query)
    entries, order = _ordered(entries, query)
    total = _total(entries, query)
    if query.cursor:
        entries = order.after(entries, paging.place_of(order, query.cursor))
    start = (query.page - 1) * query.limit if query.page else 0
    window = order.apply(entries)[start : start + query.limit + 1]
    found = rows.read_entries(window, versions) if query.limit else []
    more, found = len(found) > query.limit, found[: query.limit]
    rows.add_files([version for entry in found for version in entry.versions])
    rows.add_images([version for entry in found for version in entry.versions])
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


def matching(query: ListQuery) -> tuple[QuerySet[Entry], QuerySet[Version]]:
    """Listed entries that have something to download, and the versions to show of them.

    Versions without a file to download are among the latter: whoever reads the files drops them, which is cheaper than asking twice.
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
    if query.tag:
        entries = entries.filter(tags__name=query.tag)
    if query.username:
        entries = entries.filter(owner__username__iexact=query.username)
    days = vocabulary.PERIOD_DAYS[query.period]
    if days is not None:
        entries = entries.filter(published_at__gte=timezone.now() - timedelta(days=days))
    if query.commercial_use:
        wanted = [use for use in query.commercial_use if use != "None"]
        rule = Q(allow_commercial_use__overlap=wanted) if wanted else Q(pk__in=[])
        entries = entries.filter(rule | Q(allow_commercial_use=[]) if "None" in query.commercial_use else rule)
    if query.favourites or (query.availability and "Public" not in query.availability):
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


def _base_models(given: tuple[str, ...]) -> set[str]:
    """As given, and as the hub spells them where only the case differs: base models are free text, so none is refused."""
    return {*given, *(_SPELLINGS[name.lower()] for name in given if name.lower() in _SPELLINGS)}


def _ordered(entries: QuerySet[Entry], query: ListQuery) -> tuple[QuerySet[Entry], paging.Order]:
    if not query.query:
        return entries, paging.order_of(query.sort)
    entries = queries.search(entries, query.query).order_by()
    if "rank" not in entries.query.annotations:
        return entries, paging.order_of(query.sort)
    # As a double: the cursor must hold exactly the number that the database compares.
    return entries.annotate(relevance=Cast("rank", FloatField())), paging.RELEVANCE


def _total(entries: QuerySet[Entry], query: ListQuery) -> int:
    key, now = parameters.dump(query), time.monotonic()
    known = _totals.get(key)
    if known and now - known[0] < BELIEVED_SECONDS:
        return known[1]
    total = entries.count()
    if total > LARGE_TOTAL:
        if len(_totals) > LARGE_TOTAL:
            _totals.clear()
        _totals[key] = now, total
    return total
