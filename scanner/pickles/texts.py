"""Judges plain texts (readme, prompts, settings): they must be nothing but text, also to a program that would unpickle them."""

from __future__ import annotations

import re
import unicodedata

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.window import Window
from scanner.pickles.limits import LIMITS
from scanner.pickles.machine import Machine
from scanner.pickles.opcodes import Stream
from scanner.pickles.report import DANGER, ERROR, Report

MAX_TEXT = 16 << 20
TRIED = 64 << 10
"""Bytes from its start on that a text is read as a pickle."""
PROSE = 300
"""Opcodes in a row that no prose happens to be, short of rows of brackets."""
_LAYOUT = frozenset("\t\n\r\f")
_IMPORT_LINES = re.compile(rb"[ci](os|nt|posix|sys|_*builtins?_*|subprocess|shutil|runpy|importlib|ctypes|socket)(\.\w+)*\n\w[\w.]*\n")
"""What an import by name looks like, for texts whose lines are too long to be read as a pickle to their end."""


def scan_text(window: Window, report: Report) -> None:
    """One text file; raises `FormatError` "X-TEXT" where it is none, and says danger where it is a pickle written as text."""
    if window.size > MAX_TEXT:
        raise LimitExceeded("X-LIMIT", f"A text is larger than {MAX_TEXT >> 20} MB.")
    raw = window.read(0, window.size)
    _check_pickle(window, raw, report)
    try:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise FormatError("X-TEXT", "A file that is named as a text is not one (UTF-8).", offset=error.start) from error
    if not text.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in set(text) - _LAYOUT):
        raise FormatError("X-TEXT", "A file that is named as a text holds characters that no text has.")


def _check_pickle(window: Window, raw: bytes, report: Report) -> None:
    """Run the text as a pickle, symbolically. Prose may begin with an opcode or two; a pickle ends, imports or calls."""
    trial = Report(policy=report.policy)
    stream = Stream(window.part(0, min(window.size, TRIED)))
    ended = long = False
    try:
        Machine(stream, trial, "read as a pickle").run()
        ended = not raw[stream.position :].strip() or bool(trial.imports)
    except FormatError as error:
        at = stream.position
        long = error.code == "P-LIMIT" or (len(raw) - at > LIMITS.line and b"\n" not in raw[at : at + LIMITS.line])
        long = long and bool(_IMPORT_LINES.search(raw, at))
    report.opcodes += trial.opcodes
    called = any(finding.severity == DANGER and finding.code != "P-IMPORT" for finding in trial.findings)
    if ended or called:
        for row in trial.imports:
            report.count_import(row)
        report.say(DANGER, "F-EXTENSION", "This file is named as a text, but it is a Python pickle, which can run code when it is loaded.")
    elif long or trial.opcodes > PROSE or (trial.imports and trial.opcodes > 2):
        # Two lines of prose may look like an import, but they hardly go on as a pickle.
        severity = DANGER if any(finding.severity == DANGER for finding in trial.findings) else ERROR
        report.say(severity, "X-TEXT", "This file is named as a text, but begins as a Python pickle does.")
