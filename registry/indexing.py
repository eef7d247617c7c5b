"""What the search reads, written with what it tells of: the words of an entry as a vector, and the vocabulary that mends typing errors.

Asking is `registry.search`. Whoever changes what an entry says calls `index` in the same transaction, so that what is saved is found;
what was indexed by other rules than today's is renewed a few at a time (`refresh`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection, transaction
from django.db.models import F, Func, TextField

from registry import wording
from registry.lifecycle import SHOWN_STATES
from registry.models import Entry, File, SearchWord, Status, Version

RULES = 2
"""Of making vectors. A higher number has every entry indexed anew."""
MAX_DESCRIPTION, MAX_NAMES = 20_000, 400
"""Characters of a description and file names of an entry that are searched: more is no description, and no list of files."""
MAX_POSITION = 16_000
"""PostgreSQL counts places in a text to 16383 and takes all later ones for the same."""
GAP = 8
"""Places between one text and the next, so that no phrase reaches from one into the other."""
LEXEMES = Func(F("search"), function="tsvector_to_array", output_field=ArrayField(TextField()))
SHORTEST, LONGEST = 4, 40
"""Characters of a word that is worth mending: shorter ones are each other's typing errors."""


def index(pks: Iterable[int]) -> None:
    """Bring the search of these entries up to date with the rows as this transaction sees them. Same number of queries for any number."""
    with transaction.atomic():
        held = {row.pk: row for row in _held(list(pks))}
        said = dict(_said(held))
        if not said:
            return
        places = {pk: _places(texts) for pk, texts in said.items()}
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE registry_entry SET search = given.vector::tsvector, search_rules = %s"
                " FROM unnest(%s::bigint[], %s::text[]) AS given(pk, vector) WHERE id = given.pk",
                [RULES, list(places), [_vector(found) for found in places.values()]],
            )
        _learn({word for texts in said.values() for word in _spelled(texts)})
        before = {word for row in held.values() for word in row.lexemes or ()}
        forget(before.difference(*places.values()))


def refresh(limit: int = 200) -> dict[str, int]:
    """Index what older rules have indexed, the newest entries first; how many there were."""
    stale = list(Entry.objects.filter(search_rules__lt=RULES).order_by("-pk").values_list("pk", flat=True)[:limit])
    index(stale)
    return {"indexed": len(stale)}


def follow_move(sender: Any, row: Any, came_from: str | None, **_: Any) -> None:
    """A file came into sight or left it: its name is searched from now on, or no more. Receives `lifecycle.moved`."""
    if isinstance(row, File) and (row.state in SHOWN_STATES) != (came_from in SHOWN_STATES):
        index(Version.objects.filter(pk=row.version_id).values_list("entry_id", flat=True))


def _held(pks: list[int]) -> Any:
    """The rows, locked until the transaction ends: two writers of one entry must see each other's words."""
    rows = Entry.objects.filter(pk__in=pks).select_for_update(of=("self",), no_key=True).order_by("pk").select_related("owner")
    return rows.prefetch_related("tags").annotate(lexemes=LEXEMES)


def _said(held: dict[int, Entry]) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """For each entry its texts by weight. Of a public one only what is published; of any other all, as its owner alone finds it."""
    versions = Version.objects.filter(entry__in=held, deleted_at=None).order_by("position", "-id")
    read = list(versions.values_list("pk", "entry_id", "status", "name", "base_model", "trigger_words"))
    shown = {pk: entry for pk, entry, status, *_ in read if status == Status.PUBLISHED or not held[entry].live}
    files = File.kept.filter(version__in=shown, state__in=SHOWN_STATES).order_by("-version_id", "id")
    names, rows = defaultdict[int, list[str]](list), defaultdict[int, list[Any]](list)
    for version, name in files.values_list("version_id", "name"):
        names[shown[version]].append(name)
    for row in read:
        if row[0] in shown:
            rows[row[1]].append(row)
    for pk, entry in held.items():
        own = rows[pk]
        yield (
            pk,
            {
                "A": [entry.name],
                "B": [entry.owner.username, *(tag.name for tag in entry.tags.all()), *(word for row in own for word in row[5])],
                "C": [*(text for row in own for text in row[3:5]), *names[pk][:MAX_NAMES]],
                "D": [entry.description[:MAX_DESCRIPTION]],
            },
        )


def _places(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    """Every word of the texts with its places and weights, as PostgreSQL writes them: `{"lantern": ["2A", "31D"]}`."""
    places: dict[str, list[str]] = {}
    at = 1
    for weight, several in texts.items():
        spellings = [found for text in several for found in ([wording.words(text)] + ([] if weight == "D" else [wording.parts(text)]))]
        for spelling in spellings:
            for word in spelling:
                place = f"{min(at, MAX_POSITION)}{weight}"
                places.setdefault(word, []).append(place)
                if weight == "A":
                    places.setdefault(wording.OF_NAME + word, []).append(place)
                at += 1
            at += GAP
    return places


def _vector(places: dict[str, list[str]]) -> str:
    """PostgreSQL's literal of a tsvector. Words are letters, digits and marks alone: nothing in them means anything to it."""
    return " ".join(f"'{word}':{','.join(found[:250])}" for word, found in places.items())


def _spelled(texts: dict[str, list[str]]) -> Iterator[str]:
    """Words that a typing error may have meant: of names, creators, tags, trigger words and file names, not of descriptions."""
    for weight in "ABC":
        for text in texts[weight]:
            yield from (word for word in wording.words(text) if mendable(word))


def mendable(word: str) -> bool:
    """Whether a word is long enough and a word at all, not a number or a hash."""
    return SHORTEST <= len(word) <= LONGEST and not any(char.isdigit() for char in word)


def _learn(words: set[str]) -> None:
    """Add what the vocabulary lacks. A word that two writers learn at once is there twice, which harms nobody; a unique one would make
    every writer wait for all others that use the word."""
    known = set(SearchWord.objects.filter(word__in=words).values_list("word", flat=True))
    SearchWord.objects.bulk_create([SearchWord(word=word) for word in sorted(words - known)], batch_size=1000)


def words_of(entry: Entry) -> list[str]:
    """All that an entry is found by."""
    return list(Entry.objects.filter(pk=entry.pk).annotate(lexemes=LEXEMES).values_list("lexemes", flat=True)[0] or ())


def forget(words: Iterable[str]) -> None:
    """Drop those that no entry has any more, or anybody could fill the table by renaming."""
    asked = sorted(word for word in words if mendable(word))
    if not asked:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM registry_searchword WHERE word = ANY(%s) AND NOT EXISTS"
            " (SELECT 1 FROM registry_entry WHERE search @@ quote_literal(word)::tsquery)",
            [asked],
        )
