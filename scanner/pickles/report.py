"""What a scan found, as plain data that survives JSON. It decides only how findings add up to one verdict."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from registry.formats.directory import TensorDirectory
from registry.formats.plaintext import printable
from scanner.pickles.limits import LIMITS

SCANNER_VERSION = "1.0.0"
"""Bumped with every change to what the scanner accepts: verdicts are kept per (bytes, scanner, policy)."""

SUCCESS, SUSPICIOUS, DANGER, ERROR = "success", "suspicious", "danger", "error"
RANK = {"info": 0, SUCCESS: 0, SUSPICIOUS: 1, ERROR: 2, DANGER: 3}
"""How findings add up: the worst counts. Danger outranks error, because code in front of a broken tail has already run."""

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
    _seen: dict[tuple[str, str], Import] = field(default_factory=dict)
    _said: set[tuple[str, str]] = field(default_factory=set)
    _worst: int = 0

    def is_news(self, severity: str, code: str, message: str) -> bool:
        """Count a finding towards the verdict; whether it is also to be kept (the first of its words, `LIMITS.findings` in all)."""
        self._worst = max(self._worst, RANK[severity])
        said = (code, message)
        if said in self._said or len(self.findings) >= LIMITS.findings:
            return False
        self._said.add(said)
        return True

    def say(self, severity: str, code: str, message: str, *, where: str = "", offset: int | None = None) -> None:
        if self.is_news(severity, code, message):
            self.findings.append(Finding(severity, code, printable(where), offset, message))

    def count_import(self, row: Import) -> None:
        """Add one use of a global; beyond `LIMITS.imports` distinct ones only the known are counted."""
        known = self._seen.get((row.module, row.name))
        if known is not None:
            known.count += 1
        elif len(self._seen) < LIMITS.imports:
            self._seen[(row.module, row.name)] = row
            self.imports.append(row)

    def settle(self) -> None:
        """Turn the findings of a finished scan into the verdict."""
        self.verdict = next(name for name in (SUCCESS, SUSPICIOUS, ERROR, DANGER) if RANK[name] == self._worst)
        if self.verdict in (ERROR, DANGER):
            self.directory = None

    def to_json(self, *, tensors: bool = False) -> dict[str, Any]:
        """Plain data for JSON; with `tensors` also "directory" (None where there is none)."""
        data: dict[str, Any] = {
            "verdict": self.verdict,
            "kind": self.kind,
            "imports": [_import_json(row) for row in self.imports],
            "findings": [asdict(finding) | {"disassembly": list(finding.disassembly)} for finding in self.findings],
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


def _import_json(row: Import) -> dict[str, Any]:
    return asdict(row) | {"module": printable(row.module), "name": printable(row.name)}


def disassemble(trail: Iterable[tuple[int, str, str]], note: str) -> tuple[str, ...]:
    """The last opcodes as lines "offset NAME argument", the note beside the last one."""
    lines = [f"{offset:>8} {name} {text}".rstrip() for offset, name, text in deque(trail, maxlen=12)]
    return (*lines[:-1], f"{lines[-1]}   <- {note}") if lines else ()
