"""Adds what others said of a file to our own report. They can only make its verdict worse; their silence means nothing.

Plain data in, plain data out: nobody is asked here (see `opinions` and `antivirus`), and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scanner.opinions.asking import Opinion
from scanner.pickles.report import DANGER, ERROR, RANK, SUCCESS, SUSPICIOUS, Finding

PEER, VIRUS, VIRUS_ERROR = "O-PEER", "V-VIRUS", "V-ERROR"


def weigh(report: dict[str, Any], opinions: Iterable[Opinion], antivirus: dict[str, Any] | None) -> dict[str, Any]:
    """A copy of `report` (`Report.to_json`) with "second_opinions" and "antivirus", their findings, and the verdict that follows.

    Another scanner's objection counts against a success only, and makes it suspicious; a virus is danger, an unfinished search error.
    """
    success = report["verdict"] == SUCCESS
    told, findings = [], []
    for opinion in opinions:
        worse = success and bool(opinion.objection)
        told.append(_entry(opinion, worse))
        if worse:
            findings.append(objection(opinion.tool, opinion.verdict, opinion.objection))
    if antivirus is not None and (finding := _searched(antivirus, report["verdict"])) is not None:
        findings.append(finding)
    return worsened(report, findings) | {"second_opinions": told, "antivirus": antivirus}


def _entry(opinion: Opinion, worse: bool) -> dict[str, Any]:
    return {
        "tool": opinion.tool,
        "verdict": opinion.verdict,
        "worse": worse,
        "detail": opinion.detail,
        "duration_ms": round(opinion.duration_ms, 1),
    }


def objection(tool: str, verdict: str, why: str) -> Finding:
    """The finding for a scanner that speaks against a file we call a success."""
    message = (
        f"Another scanner, {tool}, calls this file {verdict.lower().replace('_', ' ')} ({why}). "
        "Our own rules find nothing in it; a moderator must look before it is served."
    )
    return Finding(SUSPICIOUS, PEER, "", None, message)


def _searched(antivirus: dict[str, Any], verdict: str) -> Finding | None:
    if antivirus["verdict"] == "danger":
        return Finding(DANGER, VIRUS, "", None, antivirus["message"])
    if antivirus["verdict"] == "error" and verdict in (SUCCESS, SUSPICIOUS):  # of what is refused anyway it says nothing more
        return Finding(ERROR, VIRUS_ERROR, "", None, antivirus["message"])
    return None


def worsened(report: dict[str, Any], findings: list[Finding]) -> dict[str, Any]:
    """A copy of the report with more findings and the verdict that follows; without a directory where it must not be used."""
    rows = [
        {**{name: getattr(finding, name) for name in ("severity", "code", "where", "offset", "message", "args")}, "disassembly": []}
        for finding in findings
    ]
    verdict = max([report["verdict"], *(finding.severity for finding in findings)], key=RANK.__getitem__)
    worsened = report | {"verdict": verdict, "findings": [*report.get("findings", []), *rows]}
    if "directory" in report and verdict in (ERROR, DANGER):
        worsened["directory"] = None
    return worsened
