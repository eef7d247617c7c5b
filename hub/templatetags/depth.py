"""What lies behind a model page, for its parts: trigger words with their sources, training, where it comes from, its archives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template

from hub import successors, triggers
from hub.successors import Instead
from hub.training import Training
from hub.triggers import SOURCES, TRAINING, Trigger
from hub.web import training
from hub.web.site import cap_of

register = template.Library()
CAPTIONS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ShownTriggers:
    """`groups` are (where they are known from, words); of captions the most frequent, the `rest` unfolds. `text` is copied at once."""

    groups: list[tuple[Any, list[Trigger]]]
    rest: list[Trigger]
    text: str


@register.simple_tag
def triggers_of(page: Any) -> ShownTriggers | None:
    """The trigger words of a model page's version; None where nobody knows any. No query."""
    if page.version is None:
        return None
    words = triggers.of(page.version, [row.file for row in page.rows])
    if not words:
        return None
    groups = [(said, [one for one in words if one.sources[0] == source]) for source, said in SOURCES.items()]
    rest = [one for one in words if one.sources[0] == TRAINING][CAPTIONS_SHOWN:]
    shown = [(said, found[: CAPTIONS_SHOWN if found[0].sources[0] == TRAINING else None]) for said, found in groups if found]
    copied = triggers.waking(words) or [one.word for one in words[:CAPTIONS_SHOWN]]
    return ShownTriggers(shown, rest, ", ".join(copied))


@register.simple_tag
def training_of(page: Any) -> Training | None:
    """What the files of a model page's version say of their training."""
    return training.of_rows(page.entry, page.rows)


@register.filter
def unlocal(value: float) -> str:
    """A number as drawings and programs write it, whatever the language of the page."""
    return f"{value:g}"


@register.simple_tag(takes_context=True)
def instead_of(context: dict[str, Any], page: Any) -> Instead | None:
    """What to take instead of the version of a tombstone. One query."""
    if page.version is None:
        return None
    user = context["request"].user
    return successors.of(user, page.version, page.versions, [row.file for row in page.rows], cap_of(user))
