"""Walks the URLconf: every route that the site has, as its pattern is written. Says what there is, expects nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.urls import URLResolver, get_resolver

ADMIN = "system/"
"""Django's own administration, whose routes follow from the registered models."""


def routes(patterns: Iterable[Any] | None = None, before: str = "") -> Iterator[str]:
    """Every route from the root on, the parts of included lists joined: `models/<int:pk>/edit`."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route
