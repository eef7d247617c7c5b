"""Texts of strangers put into Markdown: none can end the place that it stands in, hide characters, or become HTML. Renders nothing.

Rules are CommonMark's and GitHub's (tables); a reader that follows neither still finds no tag and no line break of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from registry.formats.plaintext import printable

_SIGNS = re.compile(r"([\\`*_\[\]<>|~&#!$:@])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_BREAKS = re.compile(r"\r\n|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
MAX_DESCRIPTION, MAX_LINE = 40_000, 4_000


def line(text: str, limit: int = 300) -> str:
    """One line without hidden characters; runs of blanks are one."""
    return printable(" ".join(text.split()), limit)


def plain(text: str, limit: int = 300) -> str:
    """Text that means nothing to Markdown, for headings, paragraphs and cells."""
    return _SIGNS.sub(r"\\\1", line(text, limit))


def code(text: str, limit: int = 300, *, cell: bool = False) -> str:
    """A code span around any text; in a `cell` its bars are escaped, which GitHub's tables take away again."""
    inner = line(text, limit)
    fence = "`" * (_longest(inner) + 1)
    space = " " if inner.startswith("`") or inner.endswith("`") or not inner else ""
    span = f"{fence}{space}{inner}{space}{fence}"
    return span.replace("|", "\\|") if cell else span


def fenced(lines: Iterable[str], language: str = "") -> str:
    """A block of code; what ends it is longer than anything in it."""
    rows = [printable(row, MAX_LINE) for row in lines]
    fence = "`" * max(3, *(_longest(row) + 1 for row in rows), 3)
    return "\n".join([f"{fence}{language}", *rows, fence])


def quoted(markdown: str) -> str:
    """A creator's own Markdown as a quotation: lists, links and code stay, and nothing of it counts outside. Tags are shown as written."""
    text = _BREAKS.sub("\n", markdown[:MAX_DESCRIPTION]).strip("\n")
    rows = (printable(row.expandtabs(4), MAX_LINE) for row in text.split("\n"))
    return "\n".join(f"> {_TAG.sub('&lt;', row)}".rstrip() for row in rows)


def _longest(text: str) -> int:
    """The longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
