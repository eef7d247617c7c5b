"""What a scan found, as plain data that survives JSON. It decides only how findings add up to one verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from registry.formats.directory import TensorDirectory
from registry.formats.plaintext import printable
from scanner.pickles.limits import LIMITS, Budget

SCANNER_VERSION = "1.1.1"
"""Bumped with every change to what the scanner accepts: verdicts are kept per (bytes, scanner, policy)."""

Step = tuple[int, str, str]
"""One opcode of a disassembly: offset, name, argument as text."""

SUCCESS, SUSPICIOUS, DANGER, ERROR = "success", "suspicious", "danger", "error"
RANK = {"info": 0, SUCCESS: 0, SUSPICIOUS: 1, ERROR: 2, DANGER: 3}
"""How findings add up: the worst counts. Danger outranks error, because code in front of a broken tail has already run."""

IMPORT_BYTES, FINDING_BYTES, PLAIN_BYTES = 470_000, 480_000, 110_000
"""Room in a report, in bytes of JSON: for names, for findings, and what of the latter is kept free for findings without detail."""

EXIT_CODES = {SUCCESS: 0, SUSPICIOUS: 1, DANGER: 2, ERROR: 3}


@dataclass(slots=True)
class Import:
    """One global that the file's pickles name; `safety` is allowed, name-only, unknown or dangerous."""

    module: str
    name: str
    safety: str
    count: int
    where: str
    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about the file; `severity` is info, suspicious, error or danger, `message` a plain sentence."""

    severity: str
    code: str
    where: str
    offset: int | None
    message: str
    args: str = ""
    disassembly: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """The answer for one file. `verdict` starts as error and becomes success only when `settle` saw a whole scan without a finding."""

    kind: str = "unknown"
    verdict: str = ERROR
    imports: list[Import] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    tensors: int = 0
    bytes: int = 0
    opcodes: int = 0
    scanner: str = SCANNER_VERSION
    policy: str = ""
    duration_ms: float = 0.0
    sandbox: list[str] = field(default_factory=list)
    directory: TensorDirectory | None = None
    budget: Budget = field(default_factory=Budget)
    _seen: dict[tuple[str, str], Import] = field(default_factory=dict)
    _said: set[tuple[str, str]] = field(default_factory=set)
    _worst: int = 0
    _drawn: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _left_out: int = 0
    _names_left_out: int = 0

    def is_news(self, severity: str, code: str, message: str) -> bool:
        """Count a finding towards the verdict; whether it is also to be kept: the first of its words, `LIMITS.findings` in all.

        The first of a worse kind than all before is always kept, so that the reason for the verdict is never the one left out.
        """
        worse = RANK[severity] > self._worst
        self._worst = max(self._worst, RANK[severity])
        said = (code, message)
        if said in self._said:
            return False
        if len(self.findings) >= LIMITS.findings:
            self._left_out += 1
            if not worse:
                return False
            self.findings.pop()
        self._said.add(said)
        return True

    def say(self, severity: str, code: str, message: str, *, where: str = "", offset: int | None = None) -> None:
        """Record a finding that comes from outside of a pickle's run, or a break that ended one (see `illustrate`)."""
        if self.is_news(severity, code, message):
            self.findings.append(Finding(severity, code, printable(where), offset, message, "", self._drawn.get((code, message), ())))

    def illustrate(self, code: str, message: str, lines: tuple[str, ...]) -> None:
        """Keep the disassembly around a break for whoever says it with these words."""
        self._drawn[code, message] = lines

    def count_import(self, row: Import) -> None:
        """Add the uses of a global that another report has counted."""
        known = self.row_of(replace(row, count=0))
        if known is not None:
            known.count += row.count

    def row_of(self, row: Import) -> Import | None:
        """The row that counts this global, `row` itself where it is new.

        None beyond `LIMITS.imports` distinct ones: those are not counted, and the file is not understood.
        """
        key = (row.module, row.name)
        known = self._seen.get(key)
        if known is None and len(self._seen) < LIMITS.imports:
            known = self._seen[key] = row
            self.imports.append(row)
        elif known is None:
            self._names_left_out += 1
            if self._names_left_out == 1:
                self.say(
                    ERROR, "P-LIMIT", "The file names more functions and classes than weights need.", where=row.where, offset=row.offset
                )
        return known

    def settle(self) -> None:
        """Turn the findings of a finished scan into the verdict."""
        self.verdict = next(name for name in (SUCCESS, SUSPICIOUS, ERROR, DANGER) if RANK[name] == self._worst)
        if self.verdict in (ERROR, DANGER):
            self.directory = None

    def to_json(self, *, tensors: bool = False) -> dict[str, Any]:
        """Plain data for JSON, under 1 MB of it; with `tensors` also "directory" (None where there is none), which may be longer."""
        imports, names = _fitting([_import_json(row) for row in self.imports], IMPORT_BYTES)
        findings, more = self._findings_json()
        names += self._names_left_out
        if names or more:
            sentence = f"There is more than this report shows: {more} more findings, and {names} more uses of names."
            findings.append(_finding_json(Finding("info", "F-MORE", "", None, sentence)))
        data: dict[str, Any] = {
            "verdict": self.verdict,
            "kind": self.kind,
            "imports": imports,
            "findings": findings,
            "tensors": self.tensors,
            "bytes": self.bytes,
            "opcodes": self.opcodes,
            "scanner": self.scanner,
            "policy": self.policy,
            "duration_ms": round(self.duration_ms, 1),
            "sandbox": self.sandbox,
        }
        if tensors:
            data["directory"] = None if self.directory is None else self.directory.to_json()
        return data

    def _findings_json(self) -> tuple[list[dict[str, Any]], int]:
        """What fits, in the order of the file, and how many do not. The worst are taken first; where room gets short, without detail."""
        order = sorted(range(len(self.findings)), key=lambda number: -RANK[self.findings[number].severity])
        rows = [_finding_json(self.findings[number]) for number in order]
        kept: dict[int, dict[str, Any]] = {}
        left = FINDING_BYTES
        for number, row in zip(order, rows, strict=True):
            plain = row | {"args": "", "disassembly": []}
            chosen = row if len(json.dumps(row)) + PLAIN_BYTES <= left else plain
            size = len(json.dumps(chosen))
            if size <= left:
                kept[number] = chosen
                left -= size
        return [kept[number] for number in sorted(kept)], len(rows) - len(kept) + self._left_out


def _finding_json(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"disassembly": list(finding.disassembly)}


def _fitting(rows: list[dict[str, Any]], room: int) -> tuple[list[dict[str, Any]], int]:
    """The rows that fit into `room` bytes of JSON, bad news first, in their order; and how many do not."""
    kept: set[int] = set()
    for number in sorted(range(len(rows)), key=lambda number: _NEWS.get(rows[number]["safety"], 0)):
        room -= len(json.dumps(rows[number])) + 2
        if room < 0:
            break
        kept.add(number)
    return [row for number, row in enumerate(rows) if number in kept], len(rows) - len(kept)


_NEWS = {"dangerous": 0, "unknown": 1, "name-only": 2, "allowed": 3}


def _import_json(row: Import) -> dict[str, Any]:
    return asdict(row) | {"module": printable(row.module), "name": printable(row.name)}


def disassemble(trail: Iterable[Step], note: str, after: Iterable[Step] = ()) -> tuple[str, ...]:
    """Opcodes as lines "offset NAME argument", the note beside the last of `trail`, which is the one it is about."""
    lines, coming = ([f"{offset:>8} {name} {text}".rstrip() for offset, name, text in steps] for steps in (trail, after))
    return (*lines[:-1], f"{lines[-1]}   <- {note}", *coming) if lines else ()
