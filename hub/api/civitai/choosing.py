"""Which file of a version a download means: the site's score over format, size and precision. Knows no database and no request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hub.api.civitai.vocabulary import PICKLE

WEIGHTS = {"format": 100.0, "size": 10.0, "fp": 1.0, "quantType": 0.5}
"""Points for and against, as in civitai/civitai server/utils/model-helpers.ts."""
PREFERRED = {"format": "SafeTensor", "size": "pruned", "fp": "fp16", "quantType": "Q4_K_M"}
WEIGHTS_TYPES = frozenset({"Model", "Pruned Model", "Diffusion Model", "UNet"})
BASE_POINTS = 1000.0


class Choosable(Protocol):
    """What is asked of a file: its ModelFileType, `metadata` with format, size and fp where they are known, and
    `preference`, which breaks ties: lower is better.
    `overflowed` files hold values that a cast made infinite: nobody gets one who did not ask for its precision.
    """

    @property
    def id(self) -> int: ...
    @property
    def file_type(self) -> str: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    @property
    def preference(self) -> int: ...
    @property
    def overflowed(self) -> bool: ...


F = TypeVar("F", bound=Choosable)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a download address asks for; "" where it does not care."""

    file_type: str = ""
    format: str = ""
    size: str = ""
    fp: str = ""
    quant: str = ""

    def asked(self) -> dict[str, str]:
        pairs = {"format": self.format, "size": self.size, "fp": self.fp, "quantType": self.quant}
        return {key: value for key, value in pairs.items() if value}


def primary(files: Iterable[F]) -> F | None:
    """The file that a download without wishes means; None only where there is none."""
    return _best(_sound(list(files)), PREFERRED)


def choose(files: Iterable[F], wanted: Wanted) -> F | None:
    """The best file for these wishes; None where none has what was asked for. A pickle is never a second choice for something else."""
    asked = wanted.asked()
    fitting = [file for file in files if not wanted.file_type or file.file_type.lower() == wanted.file_type.lower()]
    found = _best(fitting if wanted.fp else _sound(fitting), {**PREFERRED, **asked})
    if found is None or any(found.metadata.get(key, "").lower() != value.lower() for key, value in asked.items()):
        return None
    return found


def _sound(files: list[F]) -> list[F]:
    """The files without those that a cast broke, as long as any are left."""
    return [file for file in files if not file.overflowed] or files


def _best(files: list[F], preferred: dict[str, str]) -> F | None:
    if preferred["format"].lower() != PICKLE.lower():
        files = [file for file in files if file.metadata.get("format") != PICKLE] or files
    return max(files, key=lambda file: (_points(file, preferred), -file.preference, -file.id), default=None)


def _points(file: Choosable, preferred: dict[str, str]) -> float:
    points = BASE_POINTS + (BASE_POINTS if file.file_type in WEIGHTS_TYPES else 0)
    for key, weight in WEIGHTS.items():
        has = file.metadata.get(key)
        if has is not None:
            points += weight if has.lower() == preferred[key].lower() else -weight
    return points
