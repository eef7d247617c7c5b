"""Scans a file in a locked child process. Knows no Django and never raises for a file.

Whatever goes wrong with the child (death, silence, too much talk, no JSON) is verdict "error": a scanner that cannot answer says no.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from registry.sandbox.parent import run_child
from scanner.pickles import POLICY_VERSION
from scanner.pickles.report import Report

SCAN = "scanner.child:main"

ROWS = {"imports": ("module", "name", "safety"), "findings": ("severity", "code", "message")}
"""Lists of a report, and the texts that each of their rows has."""


def scan_path(path: str | os.PathLike[str], *, name: str, timeout: float = 60, tensors: bool = True) -> dict[str, Any]:
    """The report (`Report.to_json`) of the file at `path`; `name` is what its uploader called it.

    With `tensors` the key "directory" holds `TensorDirectory.to_json()`, or None. `timeout` is in seconds of wall time.
    Raises `OSError` only where the file itself cannot be opened.
    """
    with open(path, "rb") as file:
        return scan_fd(file.fileno(), name=name, timeout=timeout, tensors=tensors)


def scan_fd(fd: int, *, name: str, timeout: float = 60, tensors: bool = True) -> dict[str, Any]:
    """As `scan_path`, for an open descriptor; its position is left alone."""
    started = time.monotonic()
    safe_name = name.encode("utf-8", "replace").decode().replace("\0", "")[-1024:]
    code, answer = run_child(SCAN, fd, [safe_name, "tensors" if tensors else "plain", _jinja2()], timeout=timeout)
    problem = _problem(code, answer, timeout)
    if problem is None:
        with suppress(ValueError, RecursionError):
            report = json.loads(answer or b"")
            if is_report(report):
                return dict(report)
        problem = "gave an answer that cannot be read"
    return _failed(problem, (time.monotonic() - started) * 1000, tensors)


@cache
def _jinja2() -> str:
    """The folder that jinja2 is imported from, for a child that has the standard library alone; "" where it is not installed."""
    found = importlib.util.find_spec("jinja2")
    return str(Path(found.origin).parents[1]) if found and found.origin else ""


def is_report(answer: Any) -> bool:
    """Whether an answer has the bones of a report: a child that was broken out of may say anything, and others read it later."""
    if not isinstance(answer, dict) or answer.get("verdict") not in ("success", "suspicious", "danger", "error"):
        return False
    return all(_are_rows(answer.get(key), texts) for key, texts in ROWS.items())


def _are_rows(value: Any, texts: tuple[str, ...]) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) and all(isinstance(row.get(key), str) for key in texts) for row in value)


def _problem(code: int | None, answer: bytes | None, timeout: float) -> str | None:
    if answer is None:
        return "said more than it may"
    if code is None:
        return f"did not finish within {timeout:g} seconds"
    if code < 0:
        return f"was stopped by the system (signal {-code})"
    return None if code == 0 else "ended without an answer"


def _failed(problem: str, milliseconds: float, tensors: bool) -> dict[str, Any]:
    report = Report(policy=POLICY_VERSION, duration_ms=milliseconds)
    sentence = f"The scanner {problem}, so this file counts as not scanned. Try again, or ask an administrator."
    report.say("error", "F-SANDBOX", sentence)
    report.settle()
    return report.to_json(tensors=tensors)
