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
from django.db.models.functions import Cast, Lower
from django.urls import reverse

from hub import pictures
from hub.web.filters import Filters
from inference import previews
from registry import queries
from registry.formats.plaintext import printable
from registry.identify.agreement import agrees
from registry.models import Entry, Rating
from registry.models.facts import UNKNOWN_SIZE
from registry.ratings import Sight

READ = (
    *("name", "slug", "kind", "rating", "download_count", "approval", "owner__username", "facts__version__trigger_words"),
    *("facts__file", "facts__published_at", "facts__updated_at", "facts__size_bytes", "facts__base", "facts__family", "facts__scan"),
)
"""Columns of a card: descriptions and search vectors stay where they are."""
MAX_WORDS = 400
"""Characters of trigger words that a card carries for copying."""


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
    """One model in the grid, as its template writes it. `proof` is "yes" where tensors prove the base, "no" where they contradict it."""

    entry: Entry
    version_id: int | None
    address: str
    base: str
    proof: str
    family: str
    rating: str
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
    entries = list(found.select_related("owner", "facts__version").only(*READ)[: count + 1])
    more, entries = len(entries) > count, entries[:count]
    cards = [card(entry, veiled=sight.blurs(entry.rating)) for entry in entries]
    add_covers(cards)
    return Page(cards, _encode(order, entries[-1]) if more else "")


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
        entries = entries.annotate(place=Cast(F("rank") * 1_000_000, BigIntegerField()))
    way = "" if order.rising else "-"
    return order, entries.order_by(f"{way}{order.field}", f"{way}pk")


def _behind(order: Order, value: Any, pk: int) -> Q:
    """What comes after the cursor, written so that an index finds its beginning."""
    way = "gt" if order.rising else "lt"
    return Q(**{f"{order.field}__{way}e": value}) & (Q(**{f"{order.field}__{way}": value}) | Q(**{f"pk__{way}": pk}))


def _encode(order: Order, entry: Entry) -> str:
    value: Any = entry
    for part in order.field.split("__"):
        value = getattr(value, part)
    plain = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([order.field, plain, entry.pk], separators=(",", ":")).encode()).decode().rstrip("=")


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


def card(entry: Entry, *, veiled: bool) -> Card:
    """A card of an entry that `page` read."""
    facts = entry.facts
    version = facts.version
    proof = {True: "yes", False: "no", None: ""}[agrees(facts.base, {"family": facts.family})]
    return Card(
        entry=entry,
        version_id=facts.version_id,
        address=reverse("model", args=[entry.owner.username, entry.slug]),
        base=facts.base,
        proof=proof,
        family=facts.family,
        rating=Rating(entry.rating).label if entry.rating > Rating.PG else "",
        size_bytes=0 if facts.size_bytes == UNKNOWN_SIZE else facts.size_bytes,
        scan=facts.scan,
        download=f"/api/download/models/{facts.version_id}?fileId={facts.file_id}" if facts.file_id else "",
        words=printable(", ".join(version.trigger_words), MAX_WORDS) if version and version.trigger_words else "",
        veiled=veiled,
        cover=reverse("art", args=["1", entry.kind, entry.slug]),
    )


def add_covers(cards: Iterable[Card]) -> None:
    """Give cards the picture that stands for their version; those without keep the drawn art. One query for all."""
    versions = {card.version_id: card for card in cards if card.version_id}
    for pk, picture in previews.covers(versions).items():
        shown = versions[pk]
        shown.cover, *_ = pictures.small(picture, f"{shown.entry.slug}-{picture.seed}")
        shown.cover_alt, shown.drawn = printable(str(picture.meta.get("prompt") or ""), 160), False
