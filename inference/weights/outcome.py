"""What a conversion did, as plain data: what was written, what was left out, what the casts cost and how the result was checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from inference.weights.cast import Losses
from inference.weights.plan import Dropped
from inference.weights.recipe import Recipe
from registry.formats.hashes import Hashes

CONVERTER_VERSION = "1"
"""Raised when the same source and recipe would give other bytes: derived files are remembered by it."""

MAX_LISTED = 50
"""Tensors named one by one in a report; totals count them all."""


@dataclass(slots=True)
class Comparison:
    """The output against its source, tensor by tensor: how many are equal in every bit or value, how many were rounded, and by how much."""

    equal: int = 0
    rounded: int = 0
    max_abs_error: float = 0.0
    worst: str = ""


@dataclass(slots=True)
class Outcome:
    """The report of one conversion. `losses` is the sum over all tensors, `lossy` the tensors with any, `crc_checked` counts storages;
    `values` names what the source held beside tensors.
    """

    recipe: Recipe
    size_bytes: int
    tensors: int
    hashes: Hashes
    dropped: dict[str, Dropped]
    shared: list[list[str]]
    notes: list[str]
    values: list[str]
    losses: Losses
    lossy: dict[str, Losses]
    crc_checked: int
    comparison: Comparison
    seconds: float
    converter: str = CONVERTER_VERSION
    metadata: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; hashes as Civitai spells them, long lists cut at `MAX_LISTED`."""
        return {
            "converter": self.converter,
            "recipe": self.recipe.to_json(),
            "size_bytes": self.size_bytes,
            "tensors": self.tensors,
            "hashes": self.hashes.as_dict(),
            "dropped": {reason: asdict(dropped) for reason, dropped in self.dropped.items()},
            "shared": self.shared[:MAX_LISTED],
            "notes": self.notes,
            "values": self.values[:MAX_LISTED],
            "losses": self.losses.to_json(),
            "lossy": {name: losses.to_json() for name, losses in list(self.lossy.items())[:MAX_LISTED]},
            "crc_checked": self.crc_checked,
            "comparison": asdict(self.comparison),
            "seconds": round(self.seconds, 3),
        }
