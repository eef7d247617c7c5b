"""What the address of the browse page asks for: read from it, written back into links, and as a condition on facts. Asks no database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from registry import search
from registry.models import Kind, Rating
from registry.models.facts import UNKNOWN_SIZE

PAGE, SIZES = 24, (24, 50, 100)
"""Cards of a page, and what a visitor may choose instead."""
MAX_SHOWN = 240
"""Cards of one answer, when a page is put together again after a return to it."""
SORTS: dict[str, Promise] = {
    "relevance": _("Best match"),
    "newest": _("Newest"),
    "updated": _("Updated"),
    "downloads": _("Most downloaded"),
    "rated": _("Best rated"),
    "smallest": _("Smallest"),
    "name": _("Name"),
}
PERIODS = {"day": 1, "week": 7, "month": 30, "year": 365}
HAS: dict[str, Promise] = {"words": _("Has trigger words"), "clean": _("Every file found clean")}
MAY: dict[str, Promise] = {
    "images": _("Sell images made with it"),
    "rent": _("Run it on a paid service"),
    "sell": _("Sell it or merges of it"),
    "derive": _("Share merges of it"),
    "relicense": _("Give merges other permissions"),
}
"""What the creator must allow. Names are those of the marks that `registry/facts.py` writes."""
ADDONS = (Kind.LORA, Kind.EMBEDDING, Kind.VAE, Kind.HYPERNETWORK, Kind.CONTROLNET)
"""What is used together with a checkpoint."""
MAX_TAGS, MAX_MB = 10, 10_000_000
PARAMETERS = {"text": "q", "tags": "tag", "without": "not", "low": "min", "high": "max"}
"""Names in the address, where they differ from the fields'."""
UNWRITTEN = frozenset({"families"})
MB = 1_000_000


@dataclass(frozen=True)
class Filters:
    """The question. Anything unknown in an address is left out. `low` and `high` are MB of the file to recommend, 0 for no limit.

    `exact`: no typing error is mended. `fits` is the id of a version whose add-ons are wanted; `families` are what its tensors prove,
    filled in by whoever looked it up.
    """

    text: str = ""
    kind: str = ""
    base: str = ""
    format: str = ""
    precision: str = ""
    rating: str = ""
    period: str = ""
    creator: str = ""
    fits: int = 0
    low: int = 0
    high: int = 0
    has: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    sort: str = "newest"
    per: int = PAGE
    exact: int = 0
    after: str = ""
    families: tuple[str, ...] = ()

    @classmethod
    def read(cls, query: QueryDict) -> Filters:
        text, sort = search.clean(_word(query, "q", 400)), _word(query, "sort")
        if sort not in SORTS or (sort == "relevance" and not text):
            sort = "relevance" if text else "newest"
        low, high, per = (_number(query, name, MAX_MB) for name in ("min", "max", "per"))
        tags = _tags(query, "tag")
        return cls(
            text=text,
            kind=_one_of(query, "kind", Kind.values),
            base=_word(query, "base"),
            format=_word(query, "format", 40),
            precision=_word(query, "precision", 20),
            rating=_one_of(query, "rating", map(str, Rating.values)),
            period=_one_of(query, "period", PERIODS),
            creator=_word(query, "creator"),
            fits=_number(query, "fits", 2**62),
            low=low,
            high=0 if high and high <= low else high,
            has=tuple(name for name in HAS if name in query.getlist("has")),
            may=tuple(name for name in MAY if name in query.getlist("may")),
            tags=tags,
            without=tuple(name for name in _tags(query, "not") if name not in tags),
            sort=sort,
            per=per if per in SIZES else PAGE,
            exact=int(bool(text) and "exact" in query),
            after=_word(query, "after", 600),
        )

    @property
    def narrowed(self) -> bool:
        return bool(self.text or self.panel)

    @property
    def panel(self) -> int:
        """How many filters are on, the search aside."""
        single = (self.kind, self.base, self.format, self.precision, self.rating, self.period, self.creator, self.fits)
        return sum(map(bool, single)) + bool(self.low or self.high) + len(self.has + self.may + self.tags + self.without)

    def but(self, **changes: Any) -> Filters:
        """Another question; its pages are counted from the first."""
        return replace(self, **{"after": "", **changes})

    def pairs(self, *left_out: str) -> list[tuple[str, str]]:
        """(name, value) of the address, without what is as usual; `left_out` are fields."""
        found: list[tuple[str, str]] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value == self._usual(field.name, field.default) or field.name in UNWRITTEN or field.name in left_out:
                continue
            name = PARAMETERS.get(field.name, field.name)
            found += [(name, str(one)) for one in (value if isinstance(value, tuple) else (value,))]
        return found

    def _usual(self, name: str, default: Any) -> Any:
        return ("relevance" if self.text else "newest") if name == "sort" else default

    @property
    def address(self) -> str:
        """The address of exactly this question, always written the same way."""
        query = urlencode(self.pairs())
        return f"/?{query}" if query else "/"

    def with_sort(self, sort: str) -> str:
        return self.but(sort=sort).address

    @property
    def marks(self) -> list[str]:
        """Marks that an entry must have, all of them."""
        single = ("kind", "base", "format", "precision", "rating")
        several = (("has", self.has), ("may", self.may), ("tag", self.tags))
        wanted = [f"{name}:{getattr(self, name)}" for name in single if getattr(self, name)]
        return wanted + [f"{name}:{one}" for name, values in several for one in values]

    def rule(self, to: str = "") -> Q:
        """The condition on facts; `to` leads to them, as `facts__`. Text and creator are conditions on entries, and not in it."""
        rule = Q()
        if self.marks:
            rule &= Q(**{f"{to}marks__contains": self.marks})
        if self.without:
            rule &= ~Q(**{f"{to}marks__overlap": [f"tag:{name}" for name in self.without]})
        if self.fits:
            rule &= Q(**{f"{to}marks__overlap": [f"family:{name}" for name in self.families]})
            rule &= Q(**{f"{to}marks__overlap": [f"kind:{kind.value}" for kind in ADDONS]})
        if self.low:
            rule &= Q(**{f"{to}size_bytes__gte": self.low * MB, f"{to}size_bytes__lt": UNKNOWN_SIZE})
        if self.high:
            rule &= Q(**{f"{to}size_bytes__lt": self.high * MB})
        if self.period:
            rule &= Q(**{f"{to}published_at__gte": timezone.now() - timedelta(days=PERIODS[self.period])})
        return rule


def _word(query: QueryDict, name: str, limit: int = 80) -> str:
    return query.get(name, "").replace("\x00", "").strip()[:limit]


def _one_of(query: QueryDict, name: str, allowed: Iterable[str]) -> str:
    return word if (word := _word(query, name)) in set(allowed) else ""


def _number(query: QueryDict, name: str, most: int) -> int:
    """A whole number up to `most`; 0 for anything else."""
    word = _word(query, name, 20)
    return min(int(word), most) if word.isascii() and word.isdigit() else 0


def _tags(query: QueryDict, name: str) -> tuple[str, ...]:
    clean = (" ".join(one.replace("\x00", "").lower().split())[:60] for one in query.getlist(name))
    return tuple(dict.fromkeys(one for one in clean if one))[:MAX_TAGS]
