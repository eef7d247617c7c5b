"""One case of the tables of fixtures: how a file is built, and the answer to be given about it. The tables are in `cases_*`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.registry.identify.tables import Keys


@dataclass(frozen=True)
class Case:
    """A file, and the answer to be given about it."""

    build: Callable[[], Keys]
    kind: str
    family: str
    base: str
    flavour: str = ""
    variants: tuple[str, ...] = ()
    precision: str = "fp16"
