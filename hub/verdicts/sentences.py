"""The one sentence that says what was found in this very file, and the words around it. Works on `shown.report`; asks no database."""

from __future__ import annotations

from typing import Any

from hub.verdicts.shown import SEVERITIES

TITLES = {"pending": "Pending", "success": "Success", "suspicious": "Suspicious", "danger": "Danger", "error": "Error"}
PRECEDENCE = ("pending", "danger", "error", "suspicious", "success")
"""Which of several answers about one file is shown: Civitai's order, with our own level between error and success."""

FALLBACK = {
    "pending": "These bytes have not been scanned yet, and nothing that was not found clean is served.",
    "suspicious": "Something in this file is unusual. It is held back until a moderator has looked.",
    "danger": "This file could run code when it is loaded, or is not what it says it is. It was not run here.",
    "error": "The scanner could not read this file to its end, and that counts as a no.",
}


PICKLES = frozenset({"torch-zip", "torch-legacy", "torch-tar", "pickle"})
"""Kinds whose reading means running a pickle."""


def merged(*levels: str) -> str:
    """The one of several levels that counts; "error" for no level and for unknown ones."""
    known = [level if level in PRECEDENCE else "error" for level in levels]
    return min(known, key=PRECEDENCE.index, default="error")


def sentence(level: str, body: dict[str, Any]) -> str:
    """What the verdict `level` means for the file of the report `body` (`shown.report`)."""
    if level == "success":
        return accounted_for(body)
    lead = leading(body)
    if level == "pending" or lead is None:
        return FALLBACK.get(level, FALLBACK["error"])
    return str(lead["message"])


def leading(body: dict[str, Any]) -> dict[str, Any] | None:
    """The finding that weighs most; None where none weighs."""
    rows = [row for row in body["findings"] if row["severity"] != "info" and row["message"]]
    return min(rows, key=lambda row: SEVERITIES[row["severity"]], default=None)


def accounted_for(body: dict[str, Any]) -> str:
    """What is known of a file that was found clean."""
    names, kind, tensors = len(body["imports"]), body["kind"], body["tensors"]
    if names:
        them = "it" if names == 1 else "them"
        what = "the one name that its pickle imports is" if names == 1 else f"the {names:,} names that its pickle imports are"
        return f"Every byte of this file was accounted for; {what} known and used as torch writes {them}."
    if kind in PICKLES:
        return "Every byte of this file was accounted for; its pickle imports nothing, so nothing in it could run."
    counted = f"{tensors:,} tensor{'' if tensors == 1 else 's'}, and nothing that" if tensors else "nothing in it"
    return f"Every byte of this file was accounted for: {counted} could run."
