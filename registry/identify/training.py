"""What trainers write into a file's metadata, read with suspicion: trigger words, network size, base model. Everything in it is hearsay."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

MAX_JSON = 4 << 20
"""Bytes of tag counts that are parsed; kohya writes one entry a distinct tag, so a real file stays far below."""
MAX_WORDS = 50
MAX_WORD = 120


def trigger_words(metadata: dict[str, str]) -> list[tuple[str, int]]:
    """Words that the training captions used, most frequent first, with how often; at most `MAX_WORDS`.

    From kohya's `ss_tag_frequency` ({folder: {tag: count}}) and ModelSpec's `modelspec.trigger_phrase` (count 0: stated, not counted).
    """
    counts: Counter[str] = Counter()
    for tags in _mapping(metadata.get("ss_tag_frequency", "")).values():
        if isinstance(tags, dict):
            for tag, count in tags.items():
                word = " ".join(tag.split())
                if word and len(word) <= MAX_WORD and type(count) is int and count > 0:
                    counts[word] += count
    stated = [word.strip() for word in metadata.get("modelspec.trigger_phrase", "")[: MAX_WORD * 10].split(",")]
    found = [(word, 0) for word in dict.fromkeys(stated) if word and len(word) <= MAX_WORD and word not in counts]
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [*found, *ranked][:MAX_WORDS]


def network_size(metadata: dict[str, str]) -> tuple[int | None, float | None]:
    """Rank and alpha as the trainer states them, or None where it does not."""
    dim, alpha = _number(metadata.get("ss_network_dim")), _number(metadata.get("ss_network_alpha"))
    return (int(dim) if dim is not None and dim == int(dim) else None), alpha


def base_names(metadata: dict[str, str]) -> str:
    """All that the metadata says about the model that this one was made from, in lower case, for a search of known names."""
    keys = ("ss_sd_model_name", "modelspec.title", "modelspec.merged_from", "ss_output_name", "modelspec.architecture")
    return " ".join(metadata.get(key, "")[:300] for key in keys).lower()


def _mapping(text: str) -> dict[str, Any]:
    if not text.startswith("{") or len(text) > MAX_JSON:
        return {}
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _number(text: str | None) -> float | None:
    """A positive, finite number of a plausible size, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value < 1e6 else None
