"""One page of the grid: entries in an order that neither repeats nor skips, and a card of each. Filters are `filters`, counts `facets`."""

from __future__ import annotations

import base64
import binascii
import json
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
from inference.models import Picture
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


class Card(NamedTuple):
    """One model in the grid: what the database says of it, and by properties what its template writes. Equal cards look the same."""

    pk: int
    title: str
    slug: str
    made_as: str
    owner: str
    rated: int
    downloads: int
    version: int | None
    file: int | None
    trigger_words: tuple[str, ...]
    size_known: int
    declared: str
    proved: str
    scan: str
    veiled: bool
    picture: str = ""
    picture_shows: str = ""

    @property
    def name(self) -> str:
        return printable(self.title, MAX_NAME)

    @property
    def kind(self) -> str:
        return str(Kind(self.made_as).label)

    @property
    def address(self) -> str:
        return reverse("model", args=[self.owner, self.slug])

    @property
    def base(self) -> str:
        return printable(self.declared, MAX_NAME)

    @property
    def family(self) -> str:
        return printable(self.proved, MAX_NAME)

    @property
    def proof(self) -> str:
        """ "yes" where tensors prove the base, "no" where they contradict it."""
        return {True: "yes", False: "no", None: ""}[agrees(self.declared, {"family": self.proved})]

    @property
    def rating(self) -> str:
        """In words; "" for what anybody may see."""
        return Rating(self.rated).label if self.rated > Rating.PG else ""

    @property
    def size_bytes(self) -> int:
        return 0 if self.size_known == UNKNOWN_SIZE else self.size_known

    @property
    def download(self) -> str:
        return f"/api/download/models/{self.version}?fileId={self.file}" if self.file else ""

    @property
    def words(self) -> str:
        return printable(", ".join(self.trigger_words), MAX_WORDS) if self.trigger_words else ""

    @property
    def drawn(self) -> bool:
        return not self.picture

    @property
    def cover(self) -> str:
        return self.picture or art.address(self.made_as, self.slug)

    @property
    def cover_alt(self) -> str:
        return printable(self.picture_shows, 160)


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
    return Page(_cards(rows_read, sight), _encode(order, rows_read[-1]) if more else "")


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


def _cards(rows: list[dict[str, Any]], sight: Sight) -> list[Card]:
    """Cards of rows of `READ`, with the picture that stands for their version. One query for all pictures."""
    covers = previews.covers([row["facts__version"] for row in rows if row["facts__version"]])
    return [_card(row, sight.blurs(row["rating"]), covers.get(row["facts__version"])) for row in rows]


def _card(row: dict[str, Any], veiled: bool, cover: Picture | None) -> Card:
    said = ("facts__size_bytes", "facts__base", "facts__family", "facts__scan")
    read = ("pk", "name", "slug", "kind", "owner__username", "rating", "download_count", "facts__version", "facts__file")
    card = Card(*(row[name] for name in read), tuple(row["facts__version__trigger_words"] or ()), *(row[name] for name in said), veiled)
    if cover is None:
        return card
    path, *_ = pictures.small(cover, f"{card.slug}-{cover.seed}")
    return card._replace(picture=path, picture_shows=str(cover.meta.get("prompt") or ""))
