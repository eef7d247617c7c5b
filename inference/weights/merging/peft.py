"""What PEFT says of a LoRA's alpha beside its tensors, as diffusers writes it into a file's metadata. It reads no tensor."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

KEY = "lora_adapter_metadata"
"""Entry of the metadata: a JSON object whose keys begin with the part of the model (diffusers, loaders/lora_base.py)."""
MAX_JSON = 4 << 20
"""Characters of that entry; a longer one says nothing."""
LARGEST = 1e6


class Alphas:
    """The alphas of one file. The metadata is read once, however many modules are asked about."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._said = _parsed(metadata.get(KEY, ""))

    def of(self, module: str, rank: int) -> float | None:
        """What a module's difference is multiplied by, times `rank`; None where nothing is said (then it is the rank itself).

        PEFT's rule (tuners/lora/layer.py): alpha / rank, or alpha / sqrt(rank) with `use_rslora`; `alpha_pattern` goes before
        `lora_alpha`. Its keys are taken as ends of modules' names, not as expressions.
        """
        part, _, inner = module.partition(".")
        alpha = _positive(self._of_pattern(part, inner))
        alpha = _positive(self._entry(part, "lora_alpha")) if alpha is None else alpha
        if alpha is not None and self._entry(part, "use_rslora") is True:
            return alpha * math.sqrt(rank)
        return alpha

    def _entry(self, part: str, name: str) -> Any:
        return self._said.get(f"{part}.{name}", self._said.get(name))

    def _of_pattern(self, part: str, inner: str) -> Any:
        patterns = self._entry(part, "alpha_pattern")
        while isinstance(patterns, dict) and inner:
            if inner in patterns:
                return patterns[inner]
            inner = inner.partition(".")[2]
        return None


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > MAX_JSON:
        return {}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LARGEST else None
