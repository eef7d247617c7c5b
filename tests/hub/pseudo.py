"""A language that nobody speaks, for tests: English in letters with marks, longer by two fifths, so that what was never given to the
catalogues stands out, and what has no room for other languages breaks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from hub import translations

LETTERS = str.maketrans("aceginosuyACEGINOSUY", "áçéğíñóšúýÁÇÉĞÍÑÓŠÚÝ")
KEPT = re.compile(r"(%\(\w+\)[sd]|%[sd%]|<[^>]*>|&\w+;|\{\w*\})")
"""What a translation must hand on as it is: values, markup, entities."""


def marked(text: str) -> str:
    """ "Sign in" -> "Šíğñ íñ···": each letter that has a marked twin is replaced, values and markup stay."""
    pieces = KEPT.split(text)
    said = "".join(piece if KEPT.fullmatch(piece) else piece.translate(LETTERS) for piece in pieces)
    return said + "·" * round(0.4 * sum(len(piece) for piece in pieces if not KEPT.fullmatch(piece)))


def write(folder: Path, locale: str) -> None:
    """The catalogue of everything that pages say, for `locale`, below `folder`."""
    catalog = Catalog(locale=locale)
    for message in translations.messages():
        if message.id:
            catalog.add(message.id, _said(message.id, catalog.num_plurals), context=message.context)
    place = folder / locale / "LC_MESSAGES"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "django.mo").open("wb") as file:
        write_mo(file, catalog)


def _said(text: Any, forms: int) -> Any:
    """All plural forms are the English plural but the first."""
    if isinstance(text, str):
        return marked(text)
    return (marked(text[0]), *(marked(text[1]) for _ in range(forms - 1))) if forms > 1 else (marked(text[1]),)
