"""Starts one locked process for each other scanner, both at once, and puts their answers into one form. Knows no Django.

Whatever goes wrong with them is an opinion with the verdict "error": logged, shown, and without effect.
"""

from __future__ import annotations

import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from registry.formats.plaintext import printable
from registry.sandbox.parent import run_child

log = logging.getLogger(__name__)

TOOLS = ("picklescan", "fickling")
KINDS = frozenset({"torch-zip", "torch-legacy", "torch-tar", "pickle", "bundle", "zip"})
"""Kinds of file (`Report.kind`) in which pickles lie; of all others nobody is asked, and no process is started."""

TIMEOUT = 20.0
"""Seconds for one scanner: the 112 kB pickle of a 1,100-tensor checkpoint takes fickling half a second."""

MEMORY = 1 << 30
"""Bytes of address space for one scanner."""

ERROR, SKIPPED = "error", "skipped"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one scanner said: `verdict` in its own word ("error" and "skipped" are ours), `objection` what speaks against the file.

    `objection` is "" unless it is one that counts: at the level that acts, and not in the table of exceptions (policy.json).
    """

    tool: str
    verdict: str
    detail: str = ""
    objection: str = ""
    duration_ms: float = 0.0


class Rules:
    """The reviewed table of which words count, and which objections are known to hit honest files."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.version: str = data["version"]
        self._acts = {tool: frozenset(words) for tool, words in data["acts"].items()}
        self._exceptions = {(row["tool"], row["objection"]): str(row["reason"]) for row in data["exceptions"]}

    def counts(self, tool: str, level: str, objection: str) -> bool:
        return level in self._acts[tool] and (tool, objection) not in self._exceptions

    def excused(self, tool: str, level: str, objection: str) -> str:
        """Why an objection at a level that acts is let go, or ""."""
        return self._exceptions.get((tool, objection), "") if level in self._acts[tool] else ""


RULES = Rules(json.loads(Path(__file__).with_name("policy.json").read_text("utf-8")))


def ask(path: str | os.PathLike[str], kind: str, *, timeout: float = TIMEOUT) -> list[Opinion]:
    """The opinions on the pickles of the file at `path`; [] for a kind without pickles, or where none could be taken out.

    `timeout` is in seconds for each. Raises `OSError` only where the file itself cannot be opened.
    """
    if kind not in KINDS:
        return []
    with open(path, "rb") as file, ThreadPoolExecutor(len(TOOLS)) as pool:
        opinions = list(pool.map(lambda tool: _opinion(tool, file.fileno(), timeout), TOOLS))
    for opinion in opinions:
        if opinion is not None and opinion.verdict == ERROR and opinion.detail != NOT_INSTALLED:
            log.warning("%s gave no opinion on %s: %s", opinion.tool, path, opinion.detail)
    return [opinion for opinion in opinions if opinion is not None]


NOT_INSTALLED = "not installed"


@cache
def _version(tool: str) -> str:
    """ "" where it is not installed, which is logged once per process."""
    try:
        return metadata.version(tool)
    except metadata.PackageNotFoundError:
        log.warning("%s is not installed: files get no opinion of it", tool)
        return ""


def _opinion(tool: str, fd: int, timeout: float) -> Opinion | None:
    version = _version(tool)
    if not version:
        return Opinion(tool, ERROR, NOT_INSTALLED)
    started = time.monotonic()
    said = _said(tool, fd, timeout)
    milliseconds = (time.monotonic() - started) * 1000
    return None if "none" in said else _formed(tool, f"{tool} {version}", said, milliseconds)


def _said(tool: str, fd: int, timeout: float) -> dict[str, Any]:
    """The child's answer; {"error": ...} where there is none that can be read."""
    entry = f"scanner.opinions.child:{tool}"
    code, answer = run_child(entry, fd, [], timeout=timeout, site_packages=True, memory_bytes=MEMORY)
    if code is None:
        return {"error": f"did not finish within {timeout:g} seconds" if answer is not None else "said more than it may"}
    with suppress(ValueError, RecursionError):
        said = json.loads(answer or b"")
        if isinstance(said, dict) and said.keys() & {"word", "error", "skipped", "none"}:
            return said
    return {"error": f"was stopped by the system (signal {-code})" if code < 0 else "ended without an answer"}


def _formed(tool: str, name: str, said: dict[str, Any], milliseconds: float) -> Opinion:
    """An opinion of an answer. A tool that failed on a part, and objects to nothing else that counts, has no opinion."""
    rows = [(level, what, sentence) for level, what, sentence in said.get("objections", [])]
    counting = next((sentence for level, what, sentence in rows if RULES.counts(tool, level, what)), "")
    verdict = next((word for word in (ERROR, SKIPPED) if said.get(word)), "")
    if verdict and not counting:
        return Opinion(name, verdict, printable(str(said[verdict])), duration_ms=milliseconds)
    excused = next((reason for level, what, _ in rows if (reason := RULES.excused(tool, level, what))), "")
    detail = counting or (f"Not counted: {excused}" if excused else rows[0][2] if rows else "")
    return Opinion(name, printable(str(said["word"]), 60), printable(detail, 400), printable(counting), milliseconds)
