"""What a merge did, as plain data: what was made of what, what was left out, what was lost. It survives JSON, for the parent of a child."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from inference.weights.cast import Losses
from inference.weights.merging.lora import LoraReport
from inference.weights.merging.metadata import MERGER_VERSION
from inference.weights.merging.recipe import MergeRecipe
from inference.weights.plan import Dropped
from registry.formats.hashes import Hashes

MAX_LISTED = 50
"""Tensors named one by one in a report; totals count them all."""


@dataclass(slots=True)
class MergeOutcome:
    """`counts`: tensors by what was done with them. `losses`: over all tensors, `lossy`: the tensors with any, both of the arithmetic and
    of the last cast. `straight`: tensors that slerp gave to the weighted sum, being parallel or zero. `maths`: numpy or torch.
    """

    recipe: MergeRecipe
    size_bytes: int
    tensors: int
    hashes: Hashes
    counts: dict[str, int]
    dropped: dict[str, Dropped]
    loras: list[LoraReport]
    notes: list[str]
    losses: Losses
    lossy: dict[str, Losses]
    straight: int
    maths: str
    seconds: float
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """Sentences about values that did not survive."""
        if not self.losses.overflow:
            return []
        names = [name for name, losses in self.lossy.items() if losses.overflow]
        more = f"{names[0]} and {len(names) - 1} more tensors" if len(names) > 1 else names[0]
        return [f"{self.losses.overflow} values became infinite ({more}): they are too large for the type. Choose bf16 or fp32."]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; hashes as Civitai spells them, long lists cut at `MAX_LISTED`."""
        return {
            "merger": MERGER_VERSION,
            "recipe": self.recipe.to_json(),
            "size_bytes": self.size_bytes,
            "tensors": self.tensors,
            "hashes": self.hashes.as_dict(),
            "counts": self.counts,
            "dropped": {reason: asdict(dropped) for reason, dropped in self.dropped.items()},
            "loras": [asdict(report) for report in self.loras],
            "notes": self.notes,
            "warnings": self.warnings,
            "losses": self.losses.to_json(),
            "lossy": {name: losses.to_json() for name, losses in list(self.lossy.items())[:MAX_LISTED]},
            "slerp_straight": self.straight,
            "maths": self.maths,
            "seconds": round(self.seconds, 3),
        }
