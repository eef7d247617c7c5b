"""After our own verdict: asks the other scanners and the virus scanner that are switched on, and weighs what they say. Stores nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings

from scanner import antivirus, opinions
from scanner.pickles.report import SUCCESS, SUSPICIOUS
from scanner.weighing import weigh


def second_look(report: dict[str, Any], path: Path) -> dict[str, Any]:
    """Our report of the file at `path` with "second_opinions" and "antivirus" added, its verdict the same or worse.

    Raises `antivirus.Unreachable` (an OSError: the work is tried again later) where a virus scanner is configured and silent about
    a file that would otherwise pass or wait for a moderator.
    """
    asked = opinions.ask(path, str(report.get("kind", ""))) if settings.SCAN_SECOND_OPINIONS else []
    return weigh(report, asked, _searched(report, path))


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
