"""The list that `@attack` fills: which file, under which name, must get which verdict for which reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Builder = Callable[[], bytes]


@dataclass(frozen=True)
class Attack:
    """One trick: `verdict` and one finding's `code` must be in the report of `build()` under the file name `name`.

    `klass` is its number in `CLASSES`.
    """

    title: str
    build: Builder
    verdict: str
    code: str
    name: str
    klass: int


CLASSES: dict[int, str] = {
    1: "a callable of the standard library that no deny-list names",
    2: "a callable of a machine-learning package",
    3: "an allowed function that calls its argument",
    4: "a dotted or re-exported name",
    5: "a memo that holds another value than scanners remember",
    6: "memo numbering that differs between readers",
    7: "STACK_GLOBAL where nothing stands before it",
    8: "a name that is computed while the pickle runs",
    9: "an import without GLOBAL (extension registry and the like)",
    10: "a state set on something that takes none, or a state that carries code",
    11: "a Python 2 name that is renamed while loading",
    12: "text numbers that only some readers take",
    13: "texts whose encoding or characters readers treat differently",
    14: "a broken or cut stream, whose payload has run by then",
    15: "a second stream, or bytes behind the first",
    16: "a result that is dropped, hidden or called",
    17: "a pickle inside a pickle",
    18: "zip names that differ only by case",
    19: "two parts of a zip under one name, or two roots",
    20: "a zip with two directories",
    21: "zip fields that readers check differently",
    22: "one file that is two things",
    23: "an archive or foreign member inside an archive",
    24: "numpy files with objects or odd members",
    25: "members that lead out of the folder",
    26: "a name that lies about the kind of file",
    27: "packed wrappers",
    28: "payloads in every stream of a legacy checkpoint",
    29: "legacy tar checkpoints",
    30: "memory that is not the tensor's own",
    31: "malformed safetensors",
    32: "other formats that carry code or reach for files",
    33: "small files that cost much",
}
"""number -> what the trick is; the numbers are stable, so that figures by class can be compared."""

ATTACKS: list[Attack] = []


def attack(verdict: str, code: str, name: str = "model.ckpt", *, klass: int) -> Callable[[Builder], Builder]:
    """Enter a builder into `ATTACKS`; raises `KeyError` for a class that does not exist."""
    CLASSES[klass]

    def register(build: Builder) -> Builder:
        ATTACKS.append(Attack(f"{build.__module__.rpartition('.')[2]}.{build.__name__}", build, verdict, code, name, klass))
        return build

    return register


def each(verdict: str, code: str, name: str = "model.ckpt", *, klass: int, rows: dict[str, Builder]) -> None:
    """Enter one attack for each row of a table: the row's key is the attack's title."""
    CLASSES[klass]
    ATTACKS.extend(Attack(title, build, verdict, code, name, klass) for title, build in rows.items())
