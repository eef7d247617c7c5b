"""After our own verdict: asks the other scanners and the virus scanner that are switched on, and weighs what they say. Stores nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings

from scanner import antivirus
from scanner.opinions.asking import TIMEOUT, Opinion, ask
from scanner.pickles.report import SUCCESS, SUSPICIOUS
from scanner.weighing import weigh

SHOWN_SECONDS = 4.0
"""For an opinion on a file that is refused whatever others say: it is only shown."""


def second_look(report: dict[str, Any], path: Path) -> dict[str, Any]:
    """Our report of the file at `path` with "second_opinions" and "antivirus" added, its verdict the same or worse.

    Raises `antivirus.Unreachable` (an OSError: the work is tried again later) where a virus scanner is configured and silent about
    a file that would otherwise pass or wait for a moderator.
    """
    return weigh(report, _asked(report, path), _searched(report, path))


def _asked(report: dict[str, Any], path: Path) -> list[Opinion]:
    if not settings.SCAN_SECOND_OPINIONS:
        return []
    seconds = TIMEOUT if report["verdict"] in (SUCCESS, SUSPICIOUS) else SHOWN_SECONDS
    return ask(path, str(report.get("kind", "")), timeout=seconds)


def _searched(report: dict[str, Any], path: Path) -> dict[str, Any] | None:
    if not settings.CLAMD_SOCKET:
        return None
    with path.open("rb") as file:
        try:
            return antivirus.search(file.fileno(), report, settings.CLAMD_SOCKET)
        except antivirus.Unreachable:
            if report["verdict"] in (SUCCESS, SUSPICIOUS):
                raise
            return antivirus.unanswered(path.stat().st_size)
