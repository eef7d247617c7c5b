"""Reads what a file's metadata says it was merged from: A1111's `sd_merge_recipe` and `sd_merge_models`, ModelSpec's `merged_from`.

All of it is hearsay, and hostile until proved otherwise: bounded before it is parsed, plain text afterwards. It looks nothing up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.formats.plaintext import printable

MAX_JSON, MAX_NAME, MAX_MODELS, MAX_DEPTH = 1 << 20, 120, 40, 4
"""Characters of a recipe that are parsed, and of a name; models of one file that are told of, and generations."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
ROLES = (("primary_model_hash", "a"), ("secondary_model_hash", "b"), ("tertiary_model_hash", "c"))
METHODS = {"weighted sum": "weighted_sum", "add difference": "add_difference", "no interpolation": "no_interpolation"}
"""As A1111 spells `interp_method` (modules/extras.py), without regard to case."""


@dataclass(frozen=True)
class Stated:
    """One model that is stated to have gone into another: `share` is in percent, None where the method has none or is not known.

    `sha256` is lower-case hex, "" where only a name is stated. `parents` are stated of it in turn.
    """

    role: str
    name: str
    sha256: str = ""
    share: int | None = None
    parents: tuple[Stated, ...] = field(default_factory=tuple)


def stated(metadata: Mapping[str, str]) -> list[Stated]:
    """What went into a file by its own metadata: the recipe's models, else the names that ModelSpec gives. At most `MAX_MODELS` in all."""
    recipe = _object(metadata.get("sd_merge_recipe", ""))
    known = _object(metadata.get("sd_merge_models", ""))
    left = [MAX_MODELS]
    if recipe:
        return list(_of_recipe(recipe, known, left, MAX_DEPTH))
    names = [name.strip() for name in metadata.get("modelspec.merged_from", "")[: MAX_NAME * 10].split(",")]
    return [Stated("", printable(name, MAX_NAME)) for name in names if name][:8]


def shares(method: str, multiplier: float) -> dict[str, int]:
    """Role -> how much of it is in the result, in percent. A difference that is added takes nothing from A, so it can sum to more."""
    part = max(-1000, min(1000, round(100 * multiplier)))
    return {
        "weighted_sum": {"a": 100 - part, "b": part},
        "slerp": {"a": 100 - part, "b": part},
        "add_difference": {"a": 100, "b": part, "c": -part},
        "no_interpolation": {"a": 100},
    }.get(method, {})


def _of_recipe(recipe: dict[str, Any], known: dict[str, Any], left: list[int], depth: int) -> tuple[Stated, ...]:
    """`left` counts down over all generations: a model may be stated as often as it likes, but is told of only so often."""
    parts = shares(METHODS.get(str(recipe.get("interp_method", ""))[:40].lower(), ""), _number(recipe.get("multiplier")))
    found = []
    for key, role in ROLES:
        digest = recipe.get(key)
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest) or not left[0]:
            continue
        left[0] -= 1
        row = known.get(digest, known.get(digest.lower()))
        row = row if isinstance(row, dict) else {}
        name = row.get("name")
        inner = row.get("sd_merge_recipe")
        inner = _object(inner) if isinstance(inner, str) else inner
        parents = _of_recipe(inner, known, left, depth - 1) if isinstance(inner, dict) and depth > 1 else ()
        said = printable(name, MAX_NAME) if isinstance(name, str) else ""
        found.append(Stated(role, said, digest.lower(), parts.get(role), parents))
    return tuple(found)


def _number(value: Any) -> float:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
    return number if abs(number) <= 10 else 0.0  # NaN and infinities fail the comparison, too


def _object(text: str) -> dict[str, Any]:
    if not text.startswith("{") or len(text) > MAX_JSON:
        return {}
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
