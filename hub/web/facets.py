"""How many models each filter would leave, and the links that set it. One pass over facts for all, one more for each that is set."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hub.web.filters import HAS, MAY, SORTS, Filters
from registry import queries, ratings
from registry.models import EntryFacts, Kind, Rating

LARGE, BELIEVED_SECONDS, MAX_KEPT = 1000, 60, 500
"""Counts of more than `LARGE` models are believed for a minute: nobody sees them change by a few. They hold nothing that is not public."""
MAX_BASES, MAX_TAGS = 12, 8
FORMATS: dict[str, Promise | str] = {"safetensors": "safetensors", "pickle": _("pickle (.ckpt, .pt)"), "gguf": "GGUF", "onnx": "ONNX"}
BANDS = (
    (1, 0, 50, _("under 50 MB")),
    (2, 50, 500, _("50 to 500 MB")),
    (3, 500, 2500, _("0.5 to 2.5 GB")),
    (4, 2500, 8000, _("2.5 to 8 GB")),
    (5, 8000, 0, _("over 8 GB")),
)
"""(number in the mark, from, to in MB, words), as `registry/facts.py` marks them."""
PERIOD_WORDS = {"day": _("the last day"), "week": _("the last week"), "month": _("the last month"), "year": _("the last year")}

COUNT = """
WITH found AS MATERIALIZED ({found}),
counts AS (
  SELECT mark, count(*) FILTER (WHERE found.rating <= %s) AS n, count(*) FILTER (WHERE found.rating > %s) AS hidden
  FROM found, unnest(found.marks) AS mark WHERE mark LIKE %s AND mark NOT LIKE 'family:%%' GROUP BY mark
)
(SELECT mark, n, hidden FROM counts WHERE mark NOT LIKE 'tag:%%')
UNION ALL (SELECT mark, n, hidden FROM counts WHERE mark LIKE 'tag:%%' AND n > 0 ORDER BY n DESC, mark LIMIT {tags})
"""
Counts = dict[str, tuple[int, int]]
_kept: dict[tuple[Filters, tuple[int, int], str], tuple[float, Counts]] = {}


@dataclass(frozen=True)
class Option:
    """One link of the panel: what it says, how many models it leaves (None where that is not counted), and whether it is set."""

    id: str
    label: Any
    count: int | None
    address: str
    on: bool = False
    against: str = ""
    refused: bool = False


@dataclass
class Group:
    name: str
    title: Any
    options: list[Option] = field(default_factory=list)
    open: bool = False


@dataclass
class Panel:
    """What is left of, and beside, the cards."""

    total: int
    hidden: int
    groups: list[Group]
    chips: list[tuple[Any, str]]
    sorts: list[tuple[Any, str, bool]]


def matching(filters: Filters) -> QuerySet[EntryFacts]:
    """Facts of all listed entries that the filters let through: of every rating up to the site's cap, above which nothing exists."""
    facts = EntryFacts.objects.filter(filters.rule(), rating__lte=ratings.cap())
    if filters.text:
        facts = facts.filter(entry__in=queries.search(queries.listed(), filters.text).order_by().values("pk"))
    if filters.creator:
        facts = facts.filter(entry__owner__username__iexact=filters.creator)
    return facts


def counts(filters: Filters, cap: int, only: str = "") -> Counts:
    """{mark: (models up to `cap`, models above)}; marks that begin with `only`. Every model has one `rating:` mark."""
    key, now = (filters.but(sort="", per=0, exact=0), (cap, ratings.cap()), only), time.monotonic()
    kept = _kept.get(key)
    if kept and now - kept[0] < BELIEVED_SECONDS:
        return kept[1]
    sql, params = matching(filters).order_by().values("marks", "rating").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(found=sql, tags=MAX_TAGS), [*params, cap, cap, f"{only}%"])
        found = {mark: (shown, hidden) for mark, shown, hidden in cursor.fetchall()}
    if max(map(sum, found.values()), default=0) > LARGE:
        if len(_kept) >= MAX_KEPT:
            _kept.clear()
        _kept[key] = now, found
    return found


def panel(filters: Filters, cap: int, fits_name: str = "") -> Panel:
    found = counts(filters, cap)
    ratings = [found.get(f"rating:{rating}", (0, 0)) for rating in Rating.values]
    groups = [
        _single("kind", _("Kind"), filters, cap, found, {kind.value: kind.label for kind in Kind}),
        _single("base", _("Base model"), filters, cap, found, None),
        _tag_group(filters, found),
        _single("format", _("Format"), filters, cap, found, FORMATS, others=True),
        _single("precision", _("Precision"), filters, cap, found, None),
        _bands(filters, cap, found),
        _several("has", _("Only with"), filters, found, HAS),
        _several("may", _("Its creator allows to"), filters, found, MAY),
        _single("rating", _("Content rating"), filters, cap, found, {str(value): label for value, label in Rating.choices}),
        _periods(filters),
    ]
    sorts = [(label, filters.with_sort(key), key == filters.sort) for key, label in SORTS.items() if key != "relevance" or filters.text]
    total, hidden = sum(row[0] for row in ratings), sum(row[1] for row in ratings)
    return Panel(total, hidden, [group for group in groups if group.options], list(_chips(filters, fits_name)), sorts)


def _single(
    name: str, title: Any, filters: Filters, cap: int, found: Counts, labels: dict[str, Any] | None, *, others: bool = False
) -> Group:
    """A group of which one may be chosen. `labels` None: all that there are, the most frequent first; `others` adds those without label."""
    chosen = str(getattr(filters, name))
    if chosen:
        found = counts(filters.but(**{name: ""}), cap, f"{name}:")
    start = len(name) + 1
    there = {mark[start:]: n for mark, (n, _above) in found.items() if mark.startswith(f"{name}:") and (n or mark[start:] == chosen)}
    if labels is None or others:
        ranked = sorted(there, key=lambda value: (-there[value], value))[:MAX_BASES]
        labels = {**(labels or {}), **{value: (labels or {}).get(value, value) for value in ranked}}
    if chosen and chosen not in labels:
        labels = {**labels, chosen: chosen}
    options = [
        Option(
            f"f-{name}-{number}",
            label,
            there.get(value, 0),
            filters.but(**{name: "" if value == chosen else value}).address,
            value == chosen,
        )
        for number, (value, label) in enumerate(labels.items())
        if value in there or value == chosen
    ]
    return Group(name, title, options, open=bool(chosen) or name in {"kind", "base"})


def _several(name: str, title: Any, filters: Filters, found: Counts, labels: dict[str, Promise]) -> Group:
    """A group of which any number may be chosen; each must hold."""
    chosen: tuple[str, ...] = getattr(filters, name)
    options = []
    for value, label in labels.items():
        on = value in chosen
        other = _less(chosen, value) if on else (*chosen, value)
        options.append(
            Option(f"f-{name}-{value}", label, found.get(f"{name}:{value}", (0, 0))[0], filters.but(**{name: other}).address, on)
        )
    return Group(name, title, options if any(option.count or option.on for option in options) else [], open=bool(chosen))


def _tag_group(filters: Filters, found: Counts) -> Group:
    """Tags in three states: asked for, refused, or neither."""
    ranked = sorted((mark for mark in found if mark.startswith("tag:")), key=lambda mark: (-found[mark][0], mark))
    names = dict.fromkeys([*filters.tags, *filters.without, *(mark[4:] for mark in ranked)])
    options = []
    for number, name in enumerate(list(names)[: MAX_TAGS + len(filters.tags + filters.without)]):
        on, refused = name in filters.tags, name in filters.without
        wanted = _less(filters.tags, name) if on else (*filters.tags, name)
        against = _less(filters.without, name) if refused else (*filters.without, name)
        options.append(
            Option(
                f"f-tag-{number}",
                name,
                None if refused else found.get(f"tag:{name}", (0, 0))[0],
                filters.but(tags=wanted, without=_less(filters.without, name)).address,
                on,
                filters.but(tags=_less(filters.tags, name), without=against).address,
                refused,
            )
        )
    return Group("tag", _("Tags"), options, open=True)


def _bands(filters: Filters, cap: int, found: Counts) -> Group:
    if filters.low or filters.high:
        found = counts(filters.but(low=0, high=0), cap, "size:")
    options = []
    for number, low, high, label in BANDS:
        on = (filters.low, filters.high) == (low, high)
        count = found.get(f"size:{number}", (0, 0))[0]
        if count or on:
            changed = filters.but(low=0, high=0) if on else filters.but(low=low, high=high)
            options.append(Option(f"f-size-{number}", label, count, changed.address, on))
    return Group("size", _("Size of the file"), options, open=bool(filters.low or filters.high))


def _periods(filters: Filters) -> Group:
    options = [
        Option(f"f-period-{name}", label, None, filters.but(period="" if filters.period == name else name).address, filters.period == name)
        for name, label in PERIOD_WORDS.items()
    ]
    return Group("period", _("Published in"), options, open=bool(filters.period))


def _less(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(one for one in names if one != name)


def _chips(filters: Filters, fits_name: str) -> Iterable[tuple[Any, str]]:
    """(what it says, where it leads without it) of every filter that is on."""
    if filters.text:
        yield f"“{filters.text}”", filters.but(text="", exact=0, sort="newest" if filters.sort == "relevance" else filters.sort).address
    if filters.fits:
        yield _("works with %(name)s") % {"name": fits_name}, filters.but(fits=0, families=()).address
    if filters.kind:
        yield Kind(filters.kind).label, filters.but(kind="").address
    for name in ("base", "precision"):
        if value := getattr(filters, name):
            yield value, filters.but(**{name: ""}).address
    if filters.format:
        yield FORMATS.get(filters.format, filters.format), filters.but(format="").address
    if filters.rating:
        yield _("rated %(rating)s") % {"rating": Rating(int(filters.rating)).label}, filters.but(rating="").address
    if filters.low or filters.high:
        yield _size(filters), filters.but(low=0, high=0).address
    if filters.period:
        yield _("published in %(period)s") % {"period": PERIOD_WORDS[filters.period]}, filters.but(period="").address
    if filters.creator:
        yield _("by %(name)s") % {"name": filters.creator}, filters.but(creator="").address
    for name in filters.tags:
        yield _("tag %(name)s") % {"name": name}, filters.but(tags=_less(filters.tags, name)).address
    for name in filters.without:
        yield _("not %(name)s") % {"name": name}, filters.but(without=_less(filters.without, name)).address
    for name in filters.has:
        yield HAS[name], filters.but(has=_less(filters.has, name)).address
    for name in filters.may:
        yield MAY[name], filters.but(may=_less(filters.may, name)).address


def _size(filters: Filters) -> Any:
    for _number, low, high, label in BANDS:
        if (low, high) == (filters.low, filters.high):
            return label
    if not filters.high:
        return _("from %(low)s MB") % {"low": filters.low}
    if not filters.low:
        return _("under %(high)s MB") % {"high": filters.high}
    return _("%(low)s to %(high)s MB") % {"low": filters.low, "high": filters.high}
