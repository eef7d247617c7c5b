"""Names of versions where a program speaks of branches: made once from the version's name, then kept, so that addresses stay."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

MAX_BRANCH = 60
"""Characters, before a number is added to tell it from others."""
_RESERVED = frozenset({"main", "master", "head", "refs", "none", "convert", "pr"})
_COMMIT = re.compile(r"[0-9a-f]{40}")


def branch_name(name: str, taken: Container[str]) -> str:
    """`name` as a branch: letters, digits, dots, hyphens and underscores of ASCII; unlike any in `taken`.

    Never a commit's name, a number (numbers are version ids) or a word that means something else: "1.0 (fp16)" is "1.0-fp16".
    """
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", text)
    text = re.sub(r"\.{2,}", ".", text).strip(".-_")[:MAX_BRANCH].rstrip(".-_").removesuffix(".lock").removesuffix(".git")
    if not text:
        text = "version"
    if text.isdigit() or text.lower() in _RESERVED or _COMMIT.fullmatch(text.lower()):
        text = f"v-{text}" if not text.isdigit() else f"v{text}"
    candidate, number = text, 2
    while candidate in taken:
        candidate, number = f"{text}-{number}", number + 1
    return candidate
