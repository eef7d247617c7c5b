"""The browse page's question and answer: filters from the address, one keyset page of cards, counts for every filter. No templates."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, Count, F, Q, QuerySet
from django.db.models.functions import Cast, Lower
from django.http import QueryDict

from hub import pictures
from hub.web import filelist
from inference import previews
from registry import queries, spelling
from registry.formats.plaintext import printable
from registry.models import Entry, Kind, Version

PAGE = 24
SORTS = {"relevance": "Best match", "newest": "Newest", "downloads": "Most downloaded", "name": "Name"}
MAX_BASES = 12


@dataclass(frozen=True)
class Filters:
    """What the address asks for; anything unknown in it is left out."""

    text: str = ""
    kind: str = ""
    base: str = ""
    creator: str = ""
    tag: str = ""
    sort: str = "newest"
    after: str = ""
    exact: bool = False

    @classmethod
    def read(cls, query: QueryDict) -> Filters:
        def word(name: str, limit: int = 80) -> str:
            return query.get(name, "").replace("\x00", "").strip()[:limit]

        text, kind, sort = word("q", 200), word("kind"), word("sort")
        if sort not in SORTS or (sort == "relevance" and not text):
            sort = "relevance" if text else "newest"
        return cls(
            text,
            kind if kind in Kind.values else "",
            word("base"),
            word("creator"),
            word("tag"),
            sort,
            word("after", 600),
            "exact" in query,
        )

    @property
    def narrowed(self) -> bool:
        return bool(self.text or self.kind or self.base or self.creator or self.tag)

    def without(self, *names: str) -> Filters:
        return Filters(**{**self.__dict__, **dict.fromkeys(names, "")})


@dataclass
class Card:
    """One model in the grid."""

    entry: Entry
    version: Version | None
    size_bytes: int
    formats: str
    safe: bool
    base: str
    cover: str = ""
    cover_alt: str = ""


@dataclass
class Page:
    """Everything the browse page shows."""

    filters: Filters
    cards: list[Card]
    total: int
    hidden: int
    next_after: str
    meant: str = ""
    kinds: list[dict[str, Any]] = field(default_factory=list)
    bases: list[dict[str, Any]] = field(default_factory=list)


def matching(filters: Filters) -> QuerySet[Entry]:
    """Listed entries of every rating that the filters let through."""
    entries = queries.search(queries.listed(), filters.text)
    if filters.kind:
        entries = entries.filter(kind=filters.kind)
    if filters.base:
        entries = entries.filter(pk__in=queries.published_versions().filter(base_model=filters.base).values("entry"))
    if filters.creator:
        entries = entries.filter(owner__username=filters.creator)
    if filters.tag:
        entries = entries.filter(tags__name=filters.tag.lower())
    return entries


def page(filters: Filters, cap: int) -> Page:
    """One page of what matches, for a visitor who sees ratings up to `cap`."""
    found = matching(filters)
    totals = found.order_by().aggregate(shown=Count("pk", filter=Q(rating__lte=cap)), hidden=Count("pk", filter=Q(rating__gt=cap)))
    if filters.text and not filters.exact and not any(totals.values()):
        meant = spelling.meant(queries.listed().filter(rating__lte=cap), filters.text)
        if meant:
            return replace(page(replace(filters, text=meant), cap), meant=meant)
    rows, following = _keyset(found.filter(rating__lte=cap), filters)
    cards = [card(entry) for entry in queries.with_cards(rows)]
    more = len(cards) > PAGE
    cards = cards[:PAGE]
    add_covers(cards)
    return Page(filters, cards, totals["shown"], totals["hidden"], following(cards[-1].entry) if more else "")


def facets(shown: Page, cap: int) -> Page:
    """Add how many models each kind and each base model would leave."""
    filters = shown.filters
    kinds = matching(filters.without("kind")).filter(rating__lte=cap).order_by().values("pk")
    counts = dict(Entry.objects.filter(pk__in=kinds).values_list("kind").annotate(n=Count("pk")).order_by())
    shown.kinds = [{"value": kind.value, "label": kind.label, "count": counts[kind.value]} for kind in Kind if kind.value in counts]
    bases = matching(filters.without("base")).filter(rating__lte=cap).order_by().values("pk")
    rows = queries.published_versions().filter(entry__in=bases).values("base_model")
    shown.bases = [
        {"value": row["base_model"], "label": row["base_model"], "count": row["n"]}
        for row in rows.annotate(n=Count("entry", distinct=True)).order_by("-n", "base_model")[:MAX_BASES]
    ]
    return shown


def _keyset(entries: QuerySet[Entry], filters: Filters) -> tuple[QuerySet[Entry], Any]:
    """PAGE + 1 entries after the cursor, in an order that never repeats or skips; and how to make the next cursor."""
    ranked = "rank" in entries.query.annotations
    if filters.sort == "name":
        name, rising, entries = "lower_name", True, entries.annotate(lower_name=Lower("name"))
    elif filters.sort == "relevance" and ranked:
        name, rising = "place", False
        entries = entries.annotate(place=Cast(F("rank") * 1_000_000, BigIntegerField()))
    else:
        name, rising = ("download_count" if filters.sort == "downloads" else "published_at"), False
    order = [name, "pk"] if rising else [f"-{name}", "-pk"]
    last = _decode(filters.after, name)
    if last is not None:
        way = "gt" if rising else "lt"
        value, pk = last
        entries = entries.filter(Q(**{f"{name}__{way}": value}) | Q(**{name: value, f"pk__{way}": pk}))
    return entries.order_by(*order)[: PAGE + 1], lambda entry: _encode(name, getattr(entry, name), entry.pk)


def _encode(name: str, value: Any, pk: int) -> str:
    plain = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([name, plain, pk], separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str, name: str) -> tuple[Any, int] | None:
    """The cursor's value and id; None for none, for another order's, or for one that nobody made."""
    try:
        kind, value, pk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if kind != name or not isinstance(pk, int) or isinstance(pk, bool) or abs(pk) >= 2**62:
            return None
        if name == "published_at":
            moment = datetime.fromisoformat(value)
            return (moment, pk) if moment.tzinfo else None
        if name == "lower_name":
            return (value, pk) if isinstance(value, str) and "\x00" not in value else None
        return (value, pk) if isinstance(value, int) and abs(value) < 2**62 else None
    except (ValueError, TypeError, binascii.Error):
        return None


def add_covers(cards: Iterable[Card]) -> None:
    """Give cards the picture that stands for their version; those without keep the drawn art. One query for all."""
    versions = {card.version.pk: card for card in cards if card.version}
    for pk, picture in previews.covers(versions).items():
        shown = versions[pk]
        shown.cover, *_ = pictures.small(picture, f"{shown.entry.slug}-{picture.seed}")
        shown.cover_alt = printable(str(picture.meta.get("prompt") or ""), 160)


def card(entry: Entry) -> Card:
    """A card of an entry that came from `queries.with_cards`."""
    versions: list[Version] = entry.shown_versions  # type: ignore[attr-defined]
    version = versions[0] if versions else None
    files = [file for file in version.files.all() if file.downloadable] if version else []
    best = filelist.recommended(files)
    formats = "safetensors" if any(file.blob and file.blob.container == "safetensors" for file in files) else "pickle" if files else ""
    size = best.size_bytes if best else 0
    return Card(entry, version, size, formats, formats == "safetensors", version.base_model if version else "")
