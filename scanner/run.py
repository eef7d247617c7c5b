"""Runs what reads hostile bytes in a locked child process; above all the scan. Knows no Django and never raises for a file.

Whatever goes wrong with the child (death, silence, too much talk, no JSON) is verdict "error": a scanner that cannot answer says no.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from scanner.pickles import POLICY_VERSION
from scanner.pickles.report import Report

ROOT = str(Path(__file__).resolve().parents[1])
START = f"""import importlib, sys
sys.path.insert(0, {ROOT!r})
module, _, function = sys.argv.pop(1).partition(":")
getattr(importlib.import_module(module), function)()"""
SCAN, CANARY = "scanner.child:main", "scanner.child:canary"

MAX_ANSWER = 64 << 20
"""Bytes of report and directory that are read from the child; the directory of an SDXL checkpoint is about 0.4 MB."""

MEMORY = 1 << 30
"""Bytes of address space the child may have."""

GRACE = 2.0
"""Seconds that a child has, after its own time ran out, to say so before it is killed."""


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


def probe(timeout: float = 20) -> dict[str, Any]:
    """Which layers a child gets here and what they refuse: {"sandbox": [...], "canary": {"open": "EPERM", ...}}; {} if it died."""
    with open(os.devnull, "rb") as file:
        _, answer = run_child(CANARY, file.fileno(), [], timeout=timeout)
    with suppress(ValueError):
        found = json.loads(answer or b"")
        return found if isinstance(found, dict) else {}
    return {}


def run_child(
    entry: str, fd: int, arguments: list[str], *, timeout: float, site_packages: bool = False, memory_bytes: int = MEMORY
) -> tuple[int | None, bytes | None]:
    """(exit code, or None where it had to be killed; what it said, or None where that was over `MAX_ANSWER`) of a child of its own.

    `entry` is "module:function" of this project: it starts with an empty environment, `fd` and nothing else open, and finds its orders
    by `sandbox.orders()`; to lock itself in is its own duty. `timeout` is in seconds, after which it is to end by itself (`sandbox.watch`);
    it is killed `GRACE` later. Without `site_packages` it has the standard library alone. Raises `ValueError` for an odd `entry`.
    """
    module, colon, function = entry.partition(":")
    if not colon or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{entry!r} is not module:function")
    child = subprocess.Popen(
        [
            sys.executable,
            *("-I", "-B", "-Xutf8", *(() if site_packages else ("-S",)), "-c"),
            START,
            *(entry, str(fd), repr(float(timeout)), str(memory_bytes), *arguments),
        ],
        pass_fds=(fd,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )
    answer: bytes | None = b""
    try:
        answer, ended = _read(child, time.monotonic() + timeout + GRACE)
        if answer is None or not ended:
            return None, answer
        return child.wait(timeout=5), answer
    except subprocess.TimeoutExpired:
        return None, answer
    finally:
        with suppress(ProcessLookupError, PermissionError):
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _read(child: subprocess.Popen[bytes], deadline: float) -> tuple[bytes | None, bool]:
    """(what was said, or None where it was too much; whether it ended before the deadline)."""
    if child.stdout is None:
        return None, False
    pipe = child.stdout.fileno()
    parts: list[bytes] = []
    size = 0
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b"".join(parts), False
        part = os.read(pipe, 1 << 20)
        if not part:
            return b"".join(parts), True
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER:
            return None, True


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
