"""Template filters that turn numbers and texts into what people read: sizes, durations, Markdown. No queries."""

from __future__ import annotations

from typing import Any

import nh3
from django import template
from django.utils.formats import number_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from markdown_it import MarkdownIt

from hub.said import said
from hub.verdicts.sentences import TITLES
from registry.formats.plaintext import printable

register = template.Library()
UNITS = ("bytes", "kB", "MB", "GB", "TB")
TAGS = frozenset(
    "p br hr strong em s del code pre blockquote ul ol li a h3 h4 h5 h6 table thead tbody tr th td sup sub".split()  # noqa: SIM905
)
_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])


@register.filter
def bytesize(value: Any) -> str:
    """Decimal units as disks and browsers count: 1 GB = 10^9 bytes."""
    size = float(value or 0)
    unit = 0
    while size >= 999.5 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    if unit == 0:
        return ngettext("%(n)s byte", "%(n)s bytes", int(size)) % {"n": int(size)}
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{number_format(round(size, digits), digits)} {UNITS[unit]}"


@register.filter
def seconds(value: float | None) -> str:
    """0.04 -> "under 0.1 s"; 3.21 -> "3.2 s"; 75 -> "1 min 15 s"."""
    if value is None:
        return ""
    if value < 0.1:
        return _("under 0.1 s")
    if value < 60:
        return _("%(n)s s") % {"n": number_format(round(value, 1), 1)}
    return _("%(m)s min %(s)s s") % {"m": int(value // 60), "s": int(value % 60)}


@register.filter
def tone(verdict: str) -> str:
    """The colour of a verdict, as the end of a class name: ok, warn, bad, err; muted for what waits."""
    return {"success": "ok", "suspicious": "warn", "danger": "bad", "error": "err"}.get(verdict, "muted")


@register.filter
def verdict_word(verdict: str) -> str:
    """A verdict by its name on pages; "unknown" for none, and as it is where it is none of ours."""
    return str(TITLES.get(verdict, verdict)) or _("unknown")


@register.filter
def life_tone(file: Any) -> str:
    """The colour of how far a file is: a bad end takes the colour of its verdict."""
    if file.state == "ready":
        return "ok" if file.downloadable else "warn"
    if file.verdict in {"suspicious", "error"}:
        return tone(file.verdict)
    return "bad" if file.state in {"failed", "quarantined", "danger"} else "accent"


@register.filter
def verdict_icon(verdict: str) -> str:
    return {"success": "shield", "pending": "clock"}.get(verdict, "alert")


@register.filter
def plain(value: Any, limit: int = 300) -> str:
    """Text that came out of a file: hidden and reordering characters shown as such, cut. Escaping stays the template's."""
    return printable(str(value or ""), int(limit))


register.filter("said", said)


@register.filter
def one_line(value: Any, limit: int = 300) -> str:
    """As `plain`, of a text that may have several lines, where there is room for one."""
    return plain(" ".join(str(value or "").split()), limit)


@register.filter
def plain_block(value: Any) -> str:
    """As `plain`, but keeps line breaks: for text of several lines."""
    return "\n".join(printable(line, 2000) for line in str(value or "").replace("\r\n", "\n").split("\n"))


@register.filter
def markdown(text: str) -> SafeString:
    """A creator's Markdown as safe HTML: no raw HTML, no pictures, links without referrer; headings start at h3."""
    html = _markdown.render(str(text or "")[:50_000]).replace("<h1>", "<h3>").replace("</h1>", "</h3>")
    html = html.replace("<h2>", "<h3>").replace("</h2>", "</h3>")
    clean = nh3.clean(
        html,
        tags=set(TAGS),
        attributes={"a": {"href"}, "th": {"align"}, "td": {"align"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow ugc noopener noreferrer",
    )
    return mark_safe(clean)  # noqa: S308  (nh3 comes last and lets nothing through that could run)


@register.filter
def percent(done: int, total: int) -> int:
    return min(100, int(100 * (done or 0) / total)) if total else 0


@register.filter
def lookup(mapping: dict[str, Any], key: str) -> Any:
    return mapping.get(key)
