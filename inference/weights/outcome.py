"""What a conversion did, as plain data: what was written, what was left out, what the casts cost and how the result was checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from inference.weights.cast import Losses
from inference.weights.plan import Dropped
from inference.weights.recipe import Recipe
from registry.formats.hashes import Hashes
from registry.formats.plaintext import printable

CONVERTER_VERSION = "2"
"""Raised when the same source and recipe would give other bytes: derived files are remembered by it."""

MAX_LISTED = 50
"""Tensors named one by one in a report; totals count them all."""


@dataclass(slots=True)
class Comparison:
    """The output against its source, tensor by tensor: how many are equal in every bit or value, how many were rounded, and by how much.

    `nan_kept` counts values that are NaN in both. `reread` says whether the file was read back from the disk and found to hold what was
    handed over, byte for byte.
    """

    equal: int = 0
    rounded: int = 0
    max_abs_error: float = 0.0
    worst: str = ""
    nan_kept: int = 0
    reread: bool = False

    def add(self, name: str, losses: Losses) -> None:
        """One tensor, and what its cast did to it."""
        changed = losses.max_abs_error > 0 or losses.overflow > 0
        self.rounded += changed
        self.equal += not changed
        self.nan_kept += losses.nan
        if losses.max_abs_error > self.max_abs_error:
            self.max_abs_error, self.worst = losses.max_abs_error, name


@dataclass(slots=True)
class Outcome:
    """The report of one conversion. `losses` is the sum over all tensors, `lossy` the tensors with any, `crc_checked` counts storages;
    `values` names what the source held beside tensors; `aliases` are names left out because their tensor has another name, too.
    `hashes` is None where none were asked for.
    """

    recipe: Recipe
    size_bytes: int
    tensors: int
    hashes: Hashes | None
    dropped: dict[str, Dropped]
    shared: list[list[str]]
    aliases: dict[str, str]
    notes: list[str]
    values: list[str]
    losses: Losses
    lossy: dict[str, Losses]
    crc_checked: int
    comparison: Comparison
    seconds: float
    converter: str = CONVERTER_VERSION
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """Sentences about what was lost beyond rounding, for whoever asked for the file."""
        if not self.losses.overflow:
            return []
        names = [name for name, losses in self.lossy.items() if losses.overflow]
        listed = ", ".join(printable(name) for name in names[:3]) + (" and others" if len(names) > 3 else "")
        many, tensors = _count(self.losses.overflow, "value"), _count(len(names), "tensor")
        return [
            f"{many} in {tensors} became infinite ({listed}): too large for {self.recipe.precision}. "
            "Pictures may turn black; choose bf16, or keep the precision of the original."
        ]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; hashes as Civitai spells them, long lists cut at `MAX_LISTED`."""
        return {
            "converter": self.converter,
            "recipe": self.recipe.to_json(),
            "size_bytes": self.size_bytes,
            "tensors": self.tensors,
            "hashes": self.hashes.as_dict() if self.hashes else {},
            "dropped": {reason: asdict(dropped) for reason, dropped in self.dropped.items()},
            "shared": self.shared[:MAX_LISTED],
            "aliases": dict(list(self.aliases.items())[:MAX_LISTED]),
            "notes": self.notes,
            "warnings": self.warnings,
            "values": self.values[:MAX_LISTED],
            "losses": self.losses.to_json(),
            "lossy": {name: losses.to_json() for name, losses in list(self.lossy.items())[:MAX_LISTED]},
            "crc_checked": self.crc_checked,
            "comparison": asdict(self.comparison),
            "seconds": round(self.seconds, 3),
        }


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
