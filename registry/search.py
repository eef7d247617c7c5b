"""Finding entries by what people and programs type: one function behind the site and every protocol. `registry.indexing` writes.

It ranks and narrows a queryset that the caller already narrowed to what may be seen. Typing errors are `registry.spelling`.
"""

from __future__ import annotations

import re
from typing import Any

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import Case, Exists, F, FloatField, OuterRef, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable

from registry import wording
from registry.models import Entry, File
from registry.wording import Term

HEX = re.compile(r"[0-9A-F]{8,64}")
WEIGHTS = (0.05, 0.2, 0.5, 1.0)
"""What a word counts for in a description; version, base model and file names; creator, tags and trigger words; the entry's name."""
WHOLE_NAME, BEGINNING = 2.0, 0.5
"""Added where the question is the name, or its beginning: whoever types a whole name means that one."""
SHORTEST_PART = 3
"""Characters from which a question is also looked for inside names: trigrams need as many."""


def search(entries: QuerySet[Entry], text: str) -> QuerySet[Entry]:
    """Entries that match `text`, best first: all its words, the last perhaps only begun, or its letters inside the name.

    Words are those of name, creator, tags, trigger words, description, versions and file names; "quotes" hold words together and a minus
    refuses one. A hash of 8 or more hex digits finds the entries that hold the file, without `rank`.
    """
    text = clean(text)
    if not text:
        return entries
    if looks_like_hash(text):
        hit = with_hash(entries, text)
        if hit.exists():
            return hit
    terms = wording.terms(text)
    rule, rank = Q(name__icontains=text), Value(0.0, FloatField())
    if terms:
        asked = query_of(terms)
        inside = len(text) >= SHORTEST_PART and not any(term.unwanted for term in terms)
        rule = Q(search=asked) | rule if inside else Q(search=asked)
        rank = SearchRank(F("search"), asked, weights=list(WEIGHTS))
    return entries.filter(rule).annotate(rank=rank + _by_name(text)).order_by("-rank", "-download_count", "-id")


def first(entries: QuerySet[Entry], text: str, most: int) -> list[Entry]:
    """The few that one who is still typing may mean: those whose names have the words before all others, most downloaded first.

    Two short questions instead of one ranking: of words that half of all entries have, no more is read than is shown.
    """
    terms = wording.terms(clean(text))
    if not terms or all(term.unwanted for term in terms):
        return []
    found: list[Entry] = []
    for names in (True, False):
        if len(found) < most:
            more = entries.filter(search=query_of(terms, names=names)).exclude(pk__in=[entry.pk for entry in found])
            found += more.select_related("owner").order_by("-download_count", "-id")[: most - len(found)]
    return found


def clean(text: str) -> str:
    """A question as it is understood: no NUL, no lone surrogates, at most `wording.MAX_TEXT` characters."""
    return text.encode("utf-8", "ignore").decode().replace("\x00", "").strip()[: wording.MAX_TEXT].strip()


def looks_like_hash(text: str) -> bool:
    return HEX.fullmatch(text.upper().removeprefix("0X")) is not None


def with_hash(entries: QuerySet[Entry], text: str) -> QuerySet[Entry]:
    """Entries with a file that this hash means (`queries.blobs_by_hash`)."""
    from registry.queries import blobs_by_hash  # which asks this module for what a hash looks like

    return entries.filter(Exists(File.kept.filter(version__entry=OuterRef("pk"), blob__in=blobs_by_hash(text))))


class WordQuery(SearchQuery):
    """A tsquery that is written already, past PostgreSQL's parser of texts: `wording` has made the words."""

    def __init__(self, written: str) -> None:
        super().__init__(Value(written))

    def as_sql(self, compiler: Any, connection: Any, function: str | None = None, template: str | None = None) -> tuple[str, list[Any]]:
        sql, params = compiler.compile(self.source_expressions[0])
        return f"{sql}::tsquery", list(params)


def query_of(terms: list[Term], *, names: bool = False, begun: bool = True) -> WordQuery:
    """The terms as a tsquery. `begun`: the last word may be a beginning. `names`: only words of names."""
    last, mark = len(terms) - 1, wording.OF_NAME if names else ""
    return WordQuery(" & ".join(_written(term, mark, begun=begun and number == last) for number, term in enumerate(terms)))


def _written(term: Term, mark: str, *, begun: bool) -> str:
    """One term. Words are letters, digits and marks alone: nothing in them means anything to a tsquery."""
    last = len(term.words) - 1
    written = " <-> ".join(f"'{mark}{word}'{':*' * (begun and number == last)}" for number, word in enumerate(term.words))
    return f"!({written})" if term.unwanted else f"({written})"


def _by_name(text: str) -> Combinable:
    whole = When(name__iexact=text, then=Value(WHOLE_NAME))
    return Case(whole, When(name__istartswith=text, then=Value(BEGINNING)), default=Value(0.0), output_field=FloatField())
