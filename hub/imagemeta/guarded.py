"""JSON of strangers: bounded before it is parsed, and taken apart into settings. What its keys mean is each tool's own reader's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hub.imagemeta.meta import ImageMeta, put

MAX_PARTS = 100_000
"""Commas and brackets of a text that is parsed: an object of two keys takes 30 times its text in memory."""


def loads(text: str) -> Any:
    """The value; None for what is no JSON, too deep, or of too many parts. NaN and the infinities become None."""
    if sum(map(text.count, ",[{")) > MAX_PARTS:
        return None
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def take(params: dict[str, Any], labels: Mapping[str, str], meta: ImageMeta, dropped: Iterable[str] = ()) -> None:
    """Make settings of all that is in `params`: under A1111's name where `labels` has one, else under its own."""
    for key in dropped:
        params.pop(key, None)
    for key, label in labels.items():
        if key in params:
            put(meta, label, params.pop(key))
    width, height = params.pop("width", None), params.pop("height", None)
    if isinstance(width, int) and isinstance(height, int):
        put(meta, "Size", f"{width}x{height}")
    for key, value in params.items():
        put(meta, key, value)


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def rows(value: object, limit: int = 200) -> list[Any]:
    return value[:limit] if isinstance(value, list) else []
