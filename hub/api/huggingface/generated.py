"""The texts that the hub writes into every tree: the model card. What its creator wrote at the same path wins over them.

Whoever changes what comes out raises `GENERATOR_VERSION`, so that trees are frozen anew.
"""

from __future__ import annotations

import json
from typing import Any

from registry.models import File, Version

GENERATOR_VERSION = 1


def texts(version: Version, files: list[File]) -> dict[str, bytes]:
    """Path -> content of every text that the hub writes for these downloadable files of a version."""
    return {"README.md": _readme(version).encode()}


def card_data(version: Version) -> dict[str, Any]:
    """The card's metadata, as clients read it from the head of README.md and from `cardData`."""
    entry = version.entry
    data: dict[str, Any] = {"license": entry.spdx.lower() or "other", "tags": [*entry.tags.values_list("name", flat=True)]}
    if version.trigger_words:
        data["instance_prompt"] = ", ".join(version.trigger_words)
    return data


def _readme(version: Version) -> str:
    entry = version.entry
    # JSON is YAML, and needs no rules about what must be quoted.
    head = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in card_data(version).items())
    return f"---\n{head}---\n\n# {entry.name}\n\n{entry.description}\n"
