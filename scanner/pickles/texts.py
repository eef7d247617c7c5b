"""Judges plain texts (readme, prompts, settings): they must be nothing but text, also to a program that would unpickle them."""

from __future__ import annotations

import re
import sys
import unicodedata

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.window import Window
from scanner.pickles.report import DANGER, ERROR, Report
from scanner.pickles.sniff import PROGRAM, extension, is_markup
from scanner.pickles.trials import read_as_pickle

MAX_TEXT = 16 << 20
_LAYOUT = frozenset("\t\n\r\f")

_YAML_NAMES = frozenset({"yaml", "yml"})
_YAML_SHORTHAND = re.compile(r"^%TAG\b", re.MULTILINE)
_YAML_TAGS = ((re.compile(r"\S+"), "!!"), (re.compile(r"[^>\s]+"), "!<"))
"""Runs of signs that may hold a tag, and how the tag begins."""
_YAML_MAKES = re.compile(r"python|%[0-9A-Fa-f]{2}")
"""What makes a YAML loader build Python objects, also with escaped letters."""
_YAML_TARGET = re.compile(r"""^[ \t{,-]*["']?_?target_?["']?[ \t]*:[ \t]*["']?(\w+)""", re.MULTILINE)
"""The key under which settings of diffusion models name what is to be called."""
_COMMENT = re.compile(r"\s*<!--.*?(?:-->|\Z)", re.DOTALL)


def scan_text(window: Window, name: str, report: Report) -> None:
    """One text file; raises `FormatError` "X-TEXT" where it is none, and says danger where it is a pickle written as text."""
    if window.size > MAX_TEXT:
        raise LimitExceeded("X-LIMIT", f"A text is larger than {MAX_TEXT >> 20} MB.")
    raw = window.read(0, window.size)
    _check_pickle(window, report)
    try:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise FormatError("X-TEXT", "A file that is named as a text is not one (UTF-8).", offset=error.start) from error
    if not text.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in set(text) - _LAYOUT):
        raise FormatError("X-TEXT", "A file that is named as a text holds characters that no text has.")
    _check_markup(text, report)
    if extension(name) in _YAML_NAMES:
        _check_settings(text, report)


def _check_pickle(window: Window, report: Report) -> None:
    """Run the text as a pickle, symbolically. Prose may begin with an opcode or two; then it means nothing, as it does to a loader."""
    trial = read_as_pickle(window, report)
    report.opcodes += trial.opcodes
    if trial.fills or trial.called or trial.imports_danger:
        for row in trial.imports:
            report.count_import(row)
        report.say(DANGER, "F-EXTENSION", "This file is named as a text, but it is a Python pickle, which can run code when it is loaded.")
    elif trial.limit is not None:
        report.say(ERROR, "P-LIMIT", "This file is named as a text, but begins as a Python pickle does.")


def _check_settings(text: str, report: Report) -> None:
    """Settings in YAML that would call Python's own functions when a program reads them."""
    if (at := _object_tag(text)) is not None:
        sentence = "These settings ask YAML to make Python objects, which can run code. Write them as plain values."
        report.say(DANGER, "X-YAML", sentence, offset=len(text[:at].encode()))
    for found in _YAML_TARGET.finditer(text):
        if found[1] in sys.stdlib_module_names:
            sentence = "These settings name a function of Python itself as what is to be called. Name the model's own classes only."
            report.say(DANGER, "X-YAML", sentence, offset=len(text[: found.start()].encode()))
            return


def _object_tag(text: str) -> int | None:
    """Where a tag begins that asks for a Python object, or the line that renames tags. Every sign is looked at a few times at most."""
    if renamed := _YAML_SHORTHAND.search(text):
        return renamed.start()
    for runs, opening in _YAML_TAGS:
        if opening not in text:
            continue
        for run in runs.finditer(text):
            begin = run[0].find(opening)
            if begin >= 0 and _YAML_MAKES.search(run[0], begin + len(opening)):
                return run.start() + begin
    return None


def _check_markup(text: str, report: Report) -> None:
    """A page behind comments; the comments themselves are fine in a readme."""
    at = 0
    while comment := _COMMENT.match(text, at):
        at = comment.end()
    if at and is_markup(text[at:].lstrip()[:64].encode()):
        report.say(DANGER, "F-PROGRAM", PROGRAM.format("a web page"))
