"""Typing errors: for a question that finds nothing, the question that was probably meant. It is asked only then.

A word is offered only where an entry that this visitor could find in a list has it: what is private, unlisted or above the visitor's
rating never shows, whatever the vocabulary holds. Reads only.
"""

from __future__ import annotations

import re

from django.db import connection, transaction
from django.db.models import QuerySet

from registry import wording
from registry.indexing import mendable
from registry.models import Entry
from registry.search import clean, looks_like_hash, query_of
from registry.wording import Term

LIKENESS = {False: ("pg_trgm.similarity_threshold", 0.2), True: ("pg_trgm.word_similarity_threshold", 0.2)}
"""Of trigrams, from which a word of the vocabulary is looked at, whole or by its beginning: letters that changed places spoil most
trigrams of a short word."""
CANDIDATES, WEIGHED, COUNTED = 80, 8, 50
"""Words of the vocabulary that are compared letter by letter; those of them that are asked for; entries of one that are counted."""
MAX_UNKNOWN = 3
"""Unknown words of a question that is mended: with more nobody can tell what was meant, and each costs a walk through the vocabulary."""
LONG = 6
"""Characters from which two errors are forgiven; below it is one."""


def meant(listed: QuerySet[Entry], text: str, *, begun: bool = False) -> str:
    """`text` with each word mended that nobody has; "" where every word is known, or one is unknown and like no other.

    `listed`: the entries that this visitor finds in lists. `begun`: the last word may be unfinished, and is mended to a whole one.
    """
    text = clean(text)
    if not text or looks_like_hash(text):
        return ""
    terms = [term for term in wording.terms(text) if not term.unwanted]
    words = list(dict.fromkeys(word for term in terms for word in term.words))
    unknown = [word for word in words if not _holders(listed, word, begun=word == words[-1]).exists()]
    if not unknown or len(unknown) > MAX_UNKNOWN or not all(map(mendable, unknown)):
        return ""
    mended = {word: _mended(listed, word, begun=begun and word == words[-1]) for word in unknown}
    return re.sub(r"\S+", lambda found: _respelled(found[0], mended), text) if all(mended.values()) else ""


def _respelled(piece: str, mended: dict[str, str]) -> str:
    """One piece of a question with its unknown words replaced; its other words, quotes and minus stay."""
    words = wording.words(piece)
    if not any(word in mended for word in words):
        return piece
    before = re.match(r'-?"?', piece)
    return (before[0] if before else "") + " ".join(mended.get(word, word) for word in words) + '"' * piece.endswith('"')


def _holders(listed: QuerySet[Entry], word: str, *, begun: bool = False) -> QuerySet[Entry]:
    return listed.filter(search=query_of([Term((word,))], begun=begun)).order_by()


def _mended(listed: QuerySet[Entry], word: str, *, begun: bool) -> str:
    """The nearest word of the vocabulary that is in sight; of several as near the one that most entries have; "" for none."""
    measured = sorted((_distance_to(word, other, begun=begun), other) for other in _alike(word, begun=begun))
    near = [(far, other) for far, other in measured if far <= (2 if len(word) >= LONG else 1)][:WEIGHED]
    counted = [(far, -_holders(listed, other)[:COUNTED].count(), other) for far, other in near]
    return next((other for _, count, other in sorted(counted) if count), "")


def _alike(word: str, *, begun: bool) -> list[str]:
    """Words of the vocabulary that share trigrams with this one, the likest first."""
    setting, least = LIKENESS[begun]
    like, order = ("%s <%% word", "word_similarity(%s, word)") if begun else ("word %% %s", "similarity(word, %s)")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [setting, str(least)])
        cursor.execute(
            f"SELECT word FROM registry_searchword WHERE {like} GROUP BY word ORDER BY {order} DESC, word LIMIT %s",  # noqa: S608 (ours)
            [word, word, CANDIDATES],
        )
        return [row[0] for row in cursor.fetchall()]


def _distance_to(word: str, other: str, *, begun: bool) -> int:
    """Errors between two words, or between one and the likest beginning of the other."""
    if not begun:
        return distance(word, other)
    return min(distance(word, other[:length]) for length in range(len(word) - 1, len(word) + 2))


def distance(one: str, other: str) -> int:
    """Letters to add, drop, change or swap with their neighbour to make one word of the other (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        last, before, row = before, row, [at]
        for place, there in enumerate(other, 1):
            best = min(before[place] + 1, row[-1] + 1, before[place - 1] + (letter != there))
            if at > 1 and place > 1 and letter == other[place - 2] and one[at - 2] == there:
                best = min(best, last[place - 2] + 1)
            row.append(best)
    return row[-1]
