"""Text from untrusted files made fit to show: no control, bidirectional or broken characters, and short. Not an HTML escaper."""

from __future__ import annotations

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that can hide, reorder or break the text around them."""


def printable(text: str, limit: int = 200) -> str:
    """`text` with every hidden character as U+FFFD, cut to `limit` characters (an ellipsis marks the cut)."""
    head = text[: limit + 1]
    if not head.isascii() or not head.isprintable():
        head = "".join("\ufffd" if unicodedata.category(c) in HIDDEN else c for c in head)
    return head if len(head) <= limit else head[: limit - 1] + "…"


def is_plain(text: str) -> bool:
    """Whether every character is one that can be stored and shown as it is (no control characters, no lone surrogates)."""
    return text.isprintable() or not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
