"""The project's own corpus as files in a folder: every attack and every honest file, each built when asked and never loaded.

Hostile bytes are written for scanners to read and are removed with the folder; nothing here judges them.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One file of the corpus. `klass` is its class in `tests.attacks.catalogue.CLASSES`, 0 for an honest file.

    `verdict` and `code` are what our scanner must answer; most honest files have no code.
    """

    title: str
    name: str
    build: Callable[[], bytes]
    klass: int
    verdict: str
    code: str = ""

    @property
    def hostile(self) -> bool:
        return self.klass > 0

    @property
    def checkpoint(self) -> bool:
        """Whether its name is one of torch's: what every scanner here is made for."""
        return Path(self.name).suffix in (".ckpt", ".pt", ".pth", ".bin", ".pkl")


def samples(only: str = "") -> list[Sample]:
    """Every sample whose title holds `only`; attacks first."""
    return [sample for sample in (*attacks(), *honest()) if only in sample.title]


def attacks() -> Iterator[Sample]:
    from tests.attacks import ATTACKS

    for attack in ATTACKS:
        yield Sample(attack.title, attack.name, attack.build, attack.klass, attack.verdict, attack.code)


def honest() -> Iterator[Sample]:
    """Everything that our scanner must call a success; with a code where it must also make a remark."""
    from tests.scanner.honest import HONEST
    from tests.scanner.honest_kinds import HONEST_KINDS, TOLD

    for title, (name, make) in {**HONEST, **HONEST_KINDS}.items():
        yield Sample(f"honest: {title}", name, make, 0, "success")
    for title, (name, make, code) in TOLD.items():
        yield Sample(f"honest: {title}", name, make, 0, "success", code)


def write(sample: Sample, folder: Path) -> Path:
    """The sample as `folder/<file name>`; the same bytes each time, except for what torch itself numbers anew."""
    import torch

    folder.mkdir(parents=True)
    path = folder / sample.name
    random.seed(1)
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its own legacy, quantised and sparse forms deprecated
        path.write_bytes(sample.build())
    return path
