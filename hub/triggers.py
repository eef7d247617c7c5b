"""The words that wake a model, each with where it is known from: its creator, what the file states, its captions, or its description.

They are strangers' words: cut, and without hidden characters. Nothing is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from registry.formats.plaintext import printable
from registry.models import File, Version

CREATOR, STATED, DESCRIPTION, TRAINING = "creator", "stated", "description", "training"
SOURCES = {
    CREATOR: _("listed by the creator"),
    STATED: _("stated in the file"),
    DESCRIPTION: _("in the description"),
    TRAINING: _("in the training captions"),
}
"""Where a word is known from, in the order in which they are believed."""

MAX_WORD, MAX_TOLD, MAX_TEXT = 200, 12, 20_000
"""Characters of a word; words that are taken out of a description, and characters of it that are read."""

_TICKED = re.compile(r"(?<!`)`([^`\n]{2,60})`(?!`)")
_AFTER = re.compile(
    r"(?:trigger(?:ing)?|activation|keywords?)(?:[ -]?(?:words?|phrases?|tags?|tokens?|keywords?))?[*_ ]{0,4}[:\uff1a]([^\n]{1,400})"
    r"|\u89e6\u53d1\u8bcd[*_ ]{0,4}[:\uff1a]([^\n]{1,400})",
    re.IGNORECASE,
)
_FENCED = re.compile(r"^(?:```|~~~).*?(?:^(?:```|~~~)|\Z)", re.DOTALL | re.MULTILINE)
_NO_WORD = re.compile(
    r"[<>{}\\=$]|https?:|\.(?:safetensors|ckpt|pt|pth|bin|json|yaml|py|png|md|txt|zip)\b|^[\d.\s%x-]+$|^[-/]", re.IGNORECASE
)
"""What stands between backticks and is no word for a prompt: markup, addresses, file names, numbers, options."""
_DECORATION = " \t*_\"'`.;|"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One word. `sources` are keys of `SOURCES`, the most believed first; `count` is how many captions have it, 0 where nobody counted."""

    word: str
    sources: tuple[str, ...]
    count: int = 0

    @property
    def wakes(self) -> bool:
        """Somebody says that it does; captions alone say only what was in the pictures."""
        return self.sources != (TRAINING,)

    @property
    def told(self) -> list[Any]:
        """Its sources in words."""
        return [SOURCES[source] for source in self.sources]


def of(version: Version, files: Iterable[File]) -> list[Trigger]:
    """All words of a version, each once whatever its case: the creator's first and in their order, captions last and by frequency.

    `files` are those of the version with their blobs. No query where `version.entry` is loaded.
    """
    found: dict[str, tuple[str, dict[str, int]]] = {}
    listed = [(CREATOR, word, 0) for word in version.trigger_words]
    trained = [(TRAINING if count else STATED, word, count) for word, count in counted(files)]
    told = [(DESCRIPTION, word, 0) for word in described(f"{version.description}\n{version.entry.description}")]
    for source, given, count in (*listed, *trained, *told):
        word = printable(given, MAX_WORD)
        kept = found.setdefault(word.casefold(), (word, {}))[1]
        kept[source] = max(count, kept.get(source, 0))
    order = list(SOURCES)
    words = [Trigger(word, tuple(sorted(kept, key=order.index)), max(kept.values())) for word, kept in found.values()]
    return sorted(words, key=lambda one: (order.index(one.sources[0]), -one.count if not one.wakes else 0))


def waking(words: Iterable[Trigger]) -> list[str]:
    """Those that belong into a prompt: the creator's, or where there are none what file and description state."""
    known = [one for one in words if one.wakes]
    return [one.word for one in known if CREATOR in one.sources] or [one.word for one in known]


def counted(files: Iterable[File]) -> list[tuple[str, int]]:
    """(word, how many captions have it; 0: stated, not counted) of all files together, the stated first, then by frequency."""
    counts: dict[str, int] = {}
    for file in files:
        rows = (file.blob.detected if file.blob else {}).get("trigger_words")
        for row in rows[:100] if isinstance(rows, list) else ():
            word, count = (row.get("word"), row.get("count")) if isinstance(row, dict) else (None, None)
            if isinstance(word, str) and word.strip() and type(count) is int and count >= 0:
                counts[word] = max(count, counts.get(word, 0))
    return sorted(counts.items(), key=lambda item: (item[1] != 0, -item[1]))


def described(text: str) -> list[str]:
    """Words that a description in Markdown gives: after "trigger words:" and the like, and what stands in backticks."""
    text = _FENCED.sub("", text[:MAX_TEXT])
    lists = [line for match in _AFTER.finditer(text) for line in match.groups() if line]
    listed = [part.strip(_DECORATION) for line in lists for part in re.split("[,\uff0c\u3001]", line)]
    ticked = [match[1].strip() for match in _TICKED.finditer(text)]
    words = [word for word in (*listed, *ticked) if 1 < len(word) <= 60 and not _NO_WORD.search(word)]
    return list(dict.fromkeys(words))[:MAX_TOLD]
