"""Words of a text as the search knows them: one spelling for what people write in many ways. Plain text; knows no tables.

Letters are compared without case, width and accents. Scripts that put no spaces between words (Chinese, Japanese, Korean, Thai...) are
taken sign by sign: a question of several signs asks for them side by side, which finds any part of a sentence without a dictionary.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

MAX_WORD = 60
"""Characters of a word; longer ones are cut, here and in questions alike."""
OF_NAME = "^"
"""Before a word that stands in a name: kept beside the word itself, so that names alone are asked without looking at every entry that has
the word anywhere. No word begins so."""
_SIGN = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Blocks of the Unicode standard whose scripts are written without spaces, and Hangul, whose words take endings."""
_MARKS = "\u0591-\u05bd\u05bf\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
"""Vowel signs and points inside words, which Python does not count as letters."""
_TOKEN = re.compile(rf"[{_SIGN}]|(?:(?![{_SIGN}])[^\W_]|[{_MARKS}])+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SIGNS = re.compile(rf"[{_SIGN}]")


def plain(text: str) -> str:
    """The text without case, width and accents; what cannot be written (lone surrogates, NUL) is a space."""
    text = "".join(char if char.isprintable() or char.isspace() else " " for char in text)
    flat = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", flat)))


def words(text: str) -> list[str]:
    """The words of a text in their order."""
    return [token[:MAX_WORD] for token in _TOKEN.findall(plain(text))]


def parts(text: str) -> list[str]:
    """Other spellings of the words of a name: `DreamShaper` as dream, shaper; `sdxl10` as sdxl, 10; Dream Shaper as dreamshaper."""
    split = [words(part) for token in re.findall(r"[A-Za-z0-9]+", text) if len(found := _PARTS.findall(token)) > 1 for part in found]
    whole = [word for word in words(text) if not is_sign(word)]
    joined = [(first + second)[:MAX_WORD] for first, second in pairwise(whole)]
    return [*(word for piece in split for word in piece), *joined]


def is_sign(word: str) -> bool:
    """Whether a word is one sign of a script without spaces."""
    return _SIGNS.fullmatch(word) is not None


@dataclass(frozen=True, slots=True)
class Term:
    """What one piece of a question asks for: these words side by side, or that nobody has them."""

    words: tuple[str, ...]
    unwanted: bool = False


_PIECE = re.compile(r'(-?)"([^"]*)"?|(\S+)')
MAX_TEXT, MAX_WORDS = 200, 16
"""Of a question: nobody types more, and each word costs a walk through an index."""


def terms(text: str) -> list[Term]:
    """A question in pieces: parted by spaces or held together by quotes; a minus before one refuses it."""
    found, left = [], MAX_WORDS
    for minus, quoted, bare in _PIECE.findall(text[:MAX_TEXT]):
        unwanted = bool(minus) or (bare.startswith("-") and len(bare) > 1)
        asked = tuple(words(quoted or bare)[:left])
        if asked:
            found.append(Term(asked, unwanted))
            left -= len(asked)
    return found
