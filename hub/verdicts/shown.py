"""A stored report as it may be shown: known keys only, every value of its type and within bounds, every text printable.

Reports are made of hostile bytes in a sandbox that may have been broken out of, so nothing of their shape is taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry.formats.plaintext import printable

Row = dict[str, Any]
MAX_IMPORTS, MAX_FINDINGS, MAX_LINES, MAX_OPINIONS = 2_000, 200, 40, 20
"""`scanner.pickles.limits` keeps to the first two already; a disassembly has twelve lines."""

WORST_FIRST = {"dangerous": 0, "unknown": 1, "name-only": 2, "allowed": 3}
SEVERITIES = {"danger": 0, "error": 1, "suspicious": 2, "info": 3}


def text(value: Any, limit: int = 300) -> str:
    """`value` if it is a text, without hidden characters and cut to `limit`; else ""."""
    return printable(value, limit) if isinstance(value, str) else ""


def count(value: Any) -> int:
    """A whole number from 0 to 2**63 - 1 as it is; anything else is 0."""
    return value if type(value) is int and 0 <= value < 1 << 63 else 0


def _offset(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 63 else None


def _milliseconds(value: Any) -> float:
    return round(float(value), 1) if type(value) in (int, float) and 0 <= value < 1e12 else 0.0


def _rows(value: Any, limit: int, make: Callable[[Row], Row]) -> list[Row]:
    return [make(row) for row in value[:limit] if isinstance(row, dict)] if isinstance(value, list) else []


def _texts(value: Any, limit: int, width: int) -> list[str]:
    return [text(line, width) for line in value[:limit] if isinstance(line, str)] if isinstance(value, list) else []


def report(stored: Any) -> Row:
    """The whole report with every key of `scanner.pickles.report.Report.to_json`, "second_opinions" and "antivirus".

    Imports and findings come worst first; otherwise in the order in which the file has them.
    """
    body = stored if isinstance(stored, dict) else {}
    return {
        "verdict": text(body.get("verdict"), 20),
        "kind": text(body.get("kind"), 40),
        "imports": imports(body.get("imports")),
        "findings": findings(body.get("findings")),
        **{key: count(body.get(key)) for key in ("tensors", "bytes", "opcodes")},
        "scanner": text(body.get("scanner"), 40),
        "policy": text(body.get("policy"), 40),
        "duration_ms": _milliseconds(body.get("duration_ms")),
        "sandbox": _texts(body.get("sandbox"), 20, 40),
        "second_opinions": _rows(body.get("second_opinions"), MAX_OPINIONS, _opinion),
        "antivirus": antivirus(body.get("antivirus")),
    }


def imports(value: Any) -> list[Row]:
    """Rows {"module", "name", "safety", "count", "where", "offset", "reason"}, the dangerous ones first."""
    return sorted(_rows(value, MAX_IMPORTS, _import), key=lambda row: WORST_FIRST[row["safety"]])


def _import(row: Row) -> Row:
    safety = row.get("safety")
    return {
        "module": text(row.get("module")),
        "name": text(row.get("name")),
        "safety": safety if isinstance(safety, str) and safety in WORST_FIRST else "unknown",
        "count": count(row.get("count")),
        "where": text(row.get("where")),
        "offset": _offset(row.get("offset")),
        "reason": text(row.get("reason")),
    }


def findings(value: Any) -> list[Row]:
    """Rows {"severity", "code", "where", "offset", "message", "args", "disassembly"}, the worst first.

    Among equals a call comes before the import that it needs: what would run says more than what is named.
    """
    return sorted(_rows(value, MAX_FINDINGS, _finding), key=lambda row: (SEVERITIES[row["severity"]], row["code"] == "P-IMPORT"))


def _finding(row: Row) -> Row:
    severity = row.get("severity")
    return {
        "severity": severity if isinstance(severity, str) and severity in SEVERITIES else "error",
        "code": text(row.get("code"), 30),
        "where": text(row.get("where")),
        "offset": _offset(row.get("offset")),
        "message": text(row.get("message"), 500),
        "args": text(row.get("args"), 200),
        "disassembly": _texts(row.get("disassembly"), MAX_LINES, 240),
    }


def _opinion(row: Row) -> Row:
    return {
        "tool": text(row.get("tool"), 60),
        "verdict": text(row.get("verdict"), 60),
        "worse": row.get("worse") is True,
        "detail": text(row.get("detail")),
        "duration_ms": _milliseconds(row.get("duration_ms")),
    }


def antivirus(value: Any) -> Row | None:
    """{"verdict", "message", "signature", "scanned_bytes", "total_bytes"}; None where no engine was asked."""
    if not isinstance(value, dict):
        return None
    verdict = value.get("verdict")
    return {
        "verdict": verdict if verdict in ("success", "partial", "danger", "error") else "error",
        "message": text(value.get("message"), 500),
        "signature": text(value.get("signature"), 120),
        "scanned_bytes": count(value.get("scanned_bytes")),
        "total_bytes": count(value.get("total_bytes")),
    }
