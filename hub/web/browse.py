"""One page of the grid: entries in an order that neither repeats nor skips, and a card of each. Filters are `filters`, counts `facets`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, NamedTuple

from django.db.models import BigIntegerField, F, Q, QuerySet
from django.db.models.functions import Cast, Coalesce, Lower
from django.urls import reverse

from hub import pictures
from hub.web import art
from hub.web.filters import Filters
from inference import previews
from registry import queries
from registry.formats.plaintext import printable
from registry.identify.agreement import agrees
from registry.models import Entry, Kind, Rating
from registry.models.facts import UNKNOWN_SIZE
from registry.ratings import Sight

READ = (
    *("pk", "name", "slug", "kind", "rating", "download_count", "approval", "owner__username", "facts__version", "facts__file"),
    *("facts__version__trigger_words", "facts__published_at", "facts__updated_at", "facts__size_bytes", "facts__base", "facts__family"),
    "facts__scan",
)
"""Columns of a card: descriptions and search vectors stay where they are. Read as plain values: rows of four tables for each card cost
more than the query.
"""
MAX_NAME, MAX_WORDS = 120, 400
"""Characters of a name, and of trigger words that a card carries for copying."""


class Order(NamedTuple):
    """`field` is what is sorted by, as a look-up of `Entry`; the id decides between equals."""

    field: str
    rising: bool
    kind: type


ORDERS = {
    "newest": Order("facts__published_at", False, datetime),
    "updated": Order("facts__updated_at", False, datetime),
    "downloads": Order("download_count", False, int),
    "rated": Order("approval", False, float),
    "smallest": Order("facts__size_bytes", True, int),
    "name": Order("lower_name", True, str),
    "relevance": Order("place", False, int),
}


@dataclass(slots=True)
class Card:
    """One model in the grid, as its template writes it; numbers that nobody reads are text.

    `proof` is "yes" where tensors prove the base, "no" where they contradict it.
    """

    pk: str
    version_id: str
    name: str
    slug: str
    kind: str
    owner: str
    address: str
    base: str
    proof: str
    family: str
    level: str
    rating: str
    downloads: int
    size_bytes: int
    scan: str
    download: str
    words: str
    veiled: bool
    cover: str
    cover_alt: str = ""
    drawn: bool = True


@dataclass
class Page:
    """The cards, and the cursor of the next page; "" on the last. `meant` are the words searched for where those asked for find nothing."""

    cards: list[Card]
    next_after: str
    meant: str = ""


def page(filters: Filters, sight: Sight, rows: int = 0) -> Page:
    """One page (or `rows`) of what matches, as a visitor with this sight sees it."""
    count = rows or filters.per
    order, found = _ordered(_matching(filters, sight.limit), filters)
    last = _decode(filters.after, order)
    if last is not None:
        found = found.filter(_behind(order, *last))
    fields = READ if order.field in READ else (*READ, order.field)
    rows_read = list(found.values(*fields)[: count + 1])
    more, rows_read = len(rows_read) > count, rows_read[:count]
    kinds = {kind.value: str(kind.label) for kind in Kind}
    cards = [card(row, kinds, veiled=sight.blurs(row["rating"])) for row in rows_read]
    add_covers(cards)
    return Page(cards, _encode(order, rows_read[-1]) if more else "")


def _matching(filters: Filters, cap: int) -> QuerySet[Entry]:
    """Listed entries up to `cap`: facts narrow, and who may be seen is asked of the entry itself."""
    entries = queries.search(queries.listed(), filters.text).filter(rating__lte=cap, facts__rating__lte=cap)
    if filters.creator:
        entries = entries.filter(owner__username__iexact=filters.creator)
    return entries.filter(filters.rule("facts__"))


def _ordered(entries: QuerySet[Entry], filters: Filters) -> tuple[Order, QuerySet[Entry]]:
    sort = filters.sort
    if sort == "relevance" and "rank" not in entries.query.annotations:
        sort = "newest"  # what looks like a hash is found or not
    order = ORDERS[sort]
    if sort == "name":
        entries = entries.annotate(lower_name=Lower("name"))
    if sort == "relevance":
        entries = entries.annotate(place=Cast(Coalesce(F("rank"), 0.0) * 1_000_000, BigIntegerField()))
    way = "" if order.rising else "-"
    return order, entries.order_by(f"{way}{order.field}", f"{way}pk")


def _behind(order: Order, value: Any, pk: int) -> Q:
    """What comes after the cursor, written so that an index finds its beginning."""
    way = "gt" if order.rising else "lt"
    return Q(**{f"{order.field}__{way}e": value}) & (Q(**{f"{order.field}__{way}": value}) | Q(**{f"pk__{way}": pk}))


def _encode(order: Order, row: dict[str, Any]) -> str:
    value = row[order.field]
    plain = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([order.field, plain, row["pk"]], separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str, order: Order) -> tuple[Any, int] | None:
    """The cursor's value and id; None for none, for another order's, or for one that nobody made."""
    try:
        name, value, pk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if name != order.field or not _whole(pk):
            return None
        return (_value(order, value), pk)
    except (ValueError, TypeError, RecursionError, binascii.Error):
        return None


def _value(order: Order, value: Any) -> Any:
    """Raises ValueError for what this order has no place for."""
    if order.kind is datetime and isinstance(value, str) and (moment := datetime.fromisoformat(value)).tzinfo:
        return moment
    if order.kind is str and isinstance(value, str) and "\x00" not in value and value.isprintable():
        return value
    if order.kind is int and _whole(value):
        return value
    if order.kind is float and isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value):
        return float(value)
    raise ValueError(order.field)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= UNKNOWN_SIZE


def card(row: dict[str, Any], kinds: dict[str, str], *, veiled: bool) -> Card:
    """A card of a row of `READ`; `kinds` are words for them."""
    base, family, rating = row["facts__base"], row["facts__family"], row["rating"]
    version, file, size, words = (row[f"facts__{name}"] for name in ("version", "file", "size_bytes", "version__trigger_words"))
    return Card(
        pk=str(row["pk"]),
        version_id=str(version or ""),
        name=printable(row["name"], MAX_NAME),
        slug=row["slug"],
        kind=kinds[row["kind"]],
        owner=row["owner__username"],
        address=reverse("model", args=[row["owner__username"], row["slug"]]),
        base=printable(base, MAX_NAME),
        proof={True: "yes", False: "no", None: ""}[agrees(base, {"family": family})],
        family=printable(family, MAX_NAME),
        level=str(rating),
        rating=Rating(rating).label if rating > Rating.PG else "",
        downloads=row["download_count"],
        size_bytes=0 if size == UNKNOWN_SIZE else size,
        scan=row["facts__scan"],
        download=f"/api/download/models/{version}?fileId={file}" if file else "",
        words=printable(", ".join(words), MAX_WORDS) if words else "",
        veiled=veiled,
        cover=art.address(row["kind"], row["slug"]),
    )


def add_covers(cards: Iterable[Card]) -> None:
    """Give cards the picture that stands for their version; those without keep the drawn art. One query for all."""
    versions = {int(card.version_id): card for card in cards if card.version_id}
    for pk, picture in previews.covers(versions).items():
        shown = versions[pk]
        shown.cover, *_ = pictures.small(picture, f"{shown.slug}-{picture.seed}")
        shown.cover_alt, shown.drawn = printable(str(picture.meta.get("prompt") or ""), 160), False
