"""The list that `@attack` fills: which file, under which name, must get which verdict for which reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Builder = Callable[[], bytes]


@dataclass(frozen=True)
class Attack:
    """One trick: `verdict` and one finding's `code` must be in the report of `build()` under the file name `name`."""

    title: str
    build: Builder
    verdict: str
    code: str
    name: str


ATTACKS: list[Attack] = []


def attack(verdict: str, code: str, name: str = "model.ckpt") -> Callable[[Builder], Builder]:
    def register(build: Builder) -> Builder:
        ATTACKS.append(Attack(f"{build.__module__.rpartition('.')[2]}.{build.__name__}", build, verdict, code, name))
        return build

    return register
