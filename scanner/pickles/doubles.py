"""Looks for a second file inside a file: a zip at its end, or a pickle at its start. It knows nothing of the first file's own format."""

from __future__ import annotations

from registry.formats.window import Window
from scanner.pickles.report import DANGER, ERROR, Report
from scanner.pickles.trials import read_as_pickle

REACH = 66_000
"""Bytes from the end in which readers look for a zip's end record: 22, and a comment of up to 65,535."""


def check_doubles(window: Window, report: Report) -> None:
    """Say danger "F-POLYGLOT" where another program may take the file for a zip or a pickle."""
    check_zip(window, report)
    trial = read_as_pickle(window, report)
    report.opcodes += trial.opcodes
    if trial.imports or trial.hidden:
        for row in trial.imports:
            report.count_import(row)
        report.say(DANGER, "F-POLYGLOT", "This file is also a Python pickle, which imports something when a program loads it as one.")
    elif trial.limit is not None:
        report.say(ERROR, "P-LIMIT", "This file begins as a Python pickle does, and goes on too far to be followed.")


def check_zip(window: Window, report: Report) -> None:
    """Say danger "F-POLYGLOT" where a program that looks for a zip from the file's end would find one; tensors can be any bytes."""
    if holds_zip(window):
        report.say(DANGER, "F-POLYGLOT", "A zip archive hides at the end of this file: different programs read different things.")


def holds_zip(window: Window) -> bool:
    """Whether an end record with a directory where some reader looks for it stands near the end of the file.

    Python counts back from the record, torch goes to the offset that it states, and both follow a zip64 locator in front of it.
    """
    start = max(window.size - REACH, 0)
    tail = window.read(start, window.size - start)
    at = tail.find(b"PK\5\6")
    while at >= 0:
        size, offset = (int.from_bytes(tail[at + place : at + place + 4], "little") for place in (12, 16))
        if tail[max(at - 20, 0) : at].startswith(b"PK\6\7") or any(_is_directory(window, place) for place in (start + at - size, offset)):
            return True
        at = tail.find(b"PK\5\6", at + 1)
    return False


def _is_directory(window: Window, offset: int) -> bool:
    return 0 <= offset <= window.size - 4 and window.read(offset, 4) in (b"PK\1\2", b"PK\5\6")
