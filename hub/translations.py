"""The catalogues of pages in other languages: what is to be translated, read out of templates and modules; `.po` and `.mo` brought up to
date. For who works on the hub: a running one only reads the `.mo` files. Needs Babel (requirements-dev.txt)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

from hub.fixedsentences import sentences
from hub.said import CONTEXT

ROOT = Path(settings.BASE_DIR)
MODULES = ("hub", "registry", "inference", "scanner")
WORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
"""Functions whose arguments are to be translated: as Django names them, and in Babel's notation of what stands where."""
CATALOGUE = "django"
CHANGING = (b'"POT-Creation', b'"PO-Revision', b'"Report-Msgid', b'"Last-Translator', b'"Language-Team', b'"Generated-By')
"""Lines of a header that say when, by whom and by what; they would differ at every run."""
Message = tuple[int, Any, list[str], str | None]


def messages() -> Catalog:
    """Everything that pages say, with the places where it stands."""
    found = Catalog(project="Weighhouse", charset="utf-8")
    for path in _sources():
        place = path.relative_to(ROOT).as_posix()
        for line, text, comments, context in _read(path):
            found.add(text, locations=[(place, line)], auto_comments=comments, context=context)
    for path, line, text in fixed():
        found.add(text, locations=[(path.relative_to(ROOT).as_posix(), line)], context=CONTEXT)
    return found


@cache
def fixed() -> tuple[tuple[Path, int, str], ...]:
    """What plain folders say, as it stands in the sources that this process runs."""
    return tuple(sentences(ROOT))


def _sources() -> Iterator[Path]:
    yield from sorted((ROOT / "templates").rglob("*.html"))
    for name in MODULES:
        yield from sorted(path for path in (ROOT / name).rglob("*.py") if "migrations" not in path.parts)


def _read(path: Path) -> Iterator[Message]:
    """Django writes a template as calls among blanks, which Babel's reader of JavaScript takes as they are and Python's does not."""
    if path.suffix == ".py":
        yield from extract("python", io.BytesIO(path.read_bytes()), keywords=WORDS)
    else:
        calls = templatize(path.read_text(), origin=str(path))
        yield from extract("javascript", io.BytesIO(calls.encode()), keywords=WORDS)


def folder(language: str) -> Path:
    return Path(settings.LOCALE_PATHS[0]) / to_locale(language) / "LC_MESSAGES"


def languages() -> list[str]:
    """Those that have a catalogue: all but the one in which the pages are written."""
    return [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def kept(language: str) -> Catalog:
    """The catalogue on record; an empty one where there is none yet."""
    path = folder(language) / f"{CATALOGUE}.po"
    if not path.exists():
        return Catalog(locale=to_locale(language), charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=to_locale(language))


def update(language: str) -> Catalog:
    """Write both files anew: what is said no more is dropped, what is new stands there without a translation."""
    before, now = kept(language), messages()
    after = Catalog(locale=to_locale(language), charset="utf-8", project="Weighhouse", fuzzy=False)
    for message in now:
        if not message.id:
            continue
        known = before.get(message.id, message.context)
        after.add(message.id, known.string if known else "", locations=message.locations, context=message.context)
    write(language, after)
    return after


def write(language: str, catalog: Catalog) -> None:
    """Both files of a language, with nothing in them that changes from day to day."""
    place = folder(language)
    place.mkdir(parents=True, exist_ok=True)
    catalog.header_comment = f"# What pages say, in {catalog.locale_identifier}. `manage.py translations` brings it up to date."
    text = io.BytesIO()
    write_po(text, catalog, omit_header=False, sort_output=True, width=0, include_lineno=False)
    lines = [line for line in text.getvalue().splitlines(keepends=True) if not line.startswith(CHANGING)]
    (place / f"{CATALOGUE}.po").write_bytes(b"".join(lines))
    with (place / f"{CATALOGUE}.mo").open("wb") as file:
        write_mo(file, catalog)


def missing(catalog: Catalog) -> list[str]:
    """What has no translation; of plurals, where any form is missing."""
    return [str(message.id) for message in catalog if message.id and not (all(message.string) if message.pluralizable else message.string)]
