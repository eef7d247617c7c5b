"""Draws the cards of the grid. What a card looks like depends on its values and the language alone, so that drawings are kept by them:
the first page is asked for by everybody, and its cards cost more than its queries."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from django import template
from django.template.loader import render_to_string
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from hub.web.browse import Card

register = template.Library()
KEPT = 2000
"""Drawings that a process keeps: about 4 MB."""
SEEN_AT_ONCE = 8
"""Pictures that a wide window shows before anybody scrolls."""


@register.simple_tag
def cards(shown: Sequence[Card], later: bool = False) -> SafeString:
    """All of them; pictures of those that nobody sees at first, or of every one that comes `later`, load when they come near."""
    language = get_language() or ""
    drawn = ((_drawn(card, later or place >= SEEN_AT_ONCE, language),) for place, card in enumerate(shown))
    return format_html_join("", "{}", drawn)


@lru_cache(maxsize=KEPT)
def _drawn(card: Card, lazy: bool, language: str) -> SafeString:
    return render_to_string("catalog/card.html", {"card": card, "lazy": lazy})
