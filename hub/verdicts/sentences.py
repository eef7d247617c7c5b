"""The one sentence that says what was found in this very file, and the words around it. Works on `shown.report`; asks no database."""

from __future__ import annotations

from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from hub.verdicts.shown import SEVERITIES

TITLES = {
    "pending": gettext_lazy("Pending"),
    "success": gettext_lazy("Success"),
    "suspicious": gettext_lazy("Suspicious"),
    "danger": gettext_lazy("Danger"),
    "error": gettext_lazy("Error"),
}
PRECEDENCE = ("pending", "danger", "error", "suspicious", "success")
"""Which of several answers about one file is shown: Civitai's order, with our own level between error and success."""

FALLBACK = {
    "pending": gettext_lazy("These bytes have not been scanned yet, and nothing that was not found clean is served."),
    "suspicious": gettext_lazy("Something in this file is unusual. It is held back until a moderator has looked."),
    "danger": gettext_lazy("This file could run code when it is loaded, or is not what it says it is. It was not run here."),
    "error": gettext_lazy("The scanner could not read this file to its end, and that counts as a no."),
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
        return str(FALLBACK.get(level, FALLBACK["error"]))
    return str(lead["message"])


def leading(body: dict[str, Any]) -> dict[str, Any] | None:
    """The finding that weighs most; None where none weighs."""
    rows = [row for row in body["findings"] if row["severity"] != "info" and row["message"]]
    return min(rows, key=lambda row: SEVERITIES[row["severity"]], default=None)


def accounted_for(body: dict[str, Any]) -> str:
    """What is known of a file that was found clean."""
    names, kind, tensors = len(body["imports"]), body["kind"], body["tensors"]
    if names:
        return ngettext(
            "Every byte of this file was accounted for; the one name that its pickle imports is known and used as torch writes it.",
            "Every byte of this file was accounted for; the %(n)s names that its pickle imports are known and used as torch writes them.",
            names,
        ) % {"n": intcomma(names)}
    if kind in PICKLES:
        return _("Every byte of this file was accounted for; its pickle imports nothing, so nothing in it could run.")
    if not tensors:
        return _("Every byte of this file was accounted for: nothing in it could run.")
    return ngettext(
        "Every byte of this file was accounted for: %(n)s tensor, and nothing that could run.",
        "Every byte of this file was accounted for: %(n)s tensors, and nothing that could run.",
        tensors,
    ) % {"n": intcomma(tensors)}
