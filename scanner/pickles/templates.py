"""Judges chat templates: Jinja2 programs inside GGUF files, which other people's software runs. Lexed and parsed by jinja2, never rendered.

jinja2 is optional here. Without it a template is never taken: risky words make it a danger, any other an error. Default is no: every
part of the language, filter, function and method must be one that templates of chat models need.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from types import ModuleType

from registry.formats.window import Window
from scanner.pickles.report import DANGER, ERROR

MAX_TEMPLATE = 64 << 10
"""Bytes; the longest in the field (tools, reasoning, several languages) are under 30 kB."""

RISKY = re.compile(
    r"__|\battr\b|\blipsum\b|\bcycler\b|\bjoiner\b|\bself\b|\bconfig\b|\brequest\b|\burl_for\b|\bimport\b|\binclude\b|\bextends\b"
    r"|\bsubclasses\b|\bglobals\b|\bbuiltins\b|\bpopen\b|\bos\b|\\x5f|\\u005f|\\137|%c|\bmro\b|_frame\b|\bformat\b"
)
"""Words that make a template a danger where nothing better than words can be looked at."""

_LONG_NUMBER = re.compile(r"[0-9_]{40}")
"""jinja2's pattern for numbers takes quadratic time over long ones."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a template is not taken; `severity` is danger or error."""

    severity: str
    sentence: str


def judge_template(raw: bytes) -> Objection | None:
    """None where a template does nothing but text; the objection otherwise. Never raises for anything in the template."""
    if len(raw) > MAX_TEMPLATE:
        return Objection(ERROR, "The chat template is longer than templates are.")
    try:
        source = raw.decode()
    except UnicodeDecodeError:
        return Objection(ERROR, "The chat template is not text.")
    if _LONG_NUMBER.search(source):
        return Objection(ERROR, "The chat template holds numbers longer than any that a template needs.")
    judge = load_judge()
    if judge is None:
        if RISKY.search(source):
            return Objection(DANGER, "The chat template holds words that are used to break out of templates.")
        return Objection(ERROR, "The chat template could not be judged: that needs jinja2, which is not installed here.")
    try:
        reason: str = judge.objection_to(source)
    except judge.TemplateSyntaxError:
        return Objection(DANGER if RISKY.search(source) else ERROR, "The chat template is not one that jinja2 can read.")
    except RecursionError:
        return Objection(ERROR, "The chat template is nested deeper than templates are.")
    return Objection(DANGER, f"The chat template could run code when a chat is shown: {reason}.") if reason else None


def load_judge() -> ModuleType | None:
    """The part that needs jinja2, or None where there is none. Call it early where modules cannot be imported later on."""
    try:
        from scanner.pickles import jinja
    except ImportError:
        return None
    return jinja


def prepare(window: Window, name: str, folder: str = "") -> None:
    """Load the judge for a file that may hold chat templates (GGUF, or a bundle), while modules can still be imported.

    `folder` is where jinja2 lies, for a process that has the standard library alone.
    """
    head = window.read(0, min(4, window.size))
    if head == b"GGUF" or (head == b"PK\3\4" and name.lower().endswith(".zip")):
        if folder and folder not in sys.path:
            sys.path.append(folder)
        load_judge()
