"""Reads weight files of any kind and says whether loading them could run code, with the standard library alone.

`scan` is the entry; `python -m scanner.pickles FILE` the command. Nothing of a file is imported, called or unpickled.
"""

from __future__ import annotations

import gc
import time
from typing import BinaryIO

from registry.formats.errors import FormatError
from registry.formats.window import Window
from scanner.pickles.containers import say_error, scan_window
from scanner.pickles.limits import OutOfTime
from scanner.pickles.policy import POLICY_VERSION
from scanner.pickles.report import ERROR, EXIT_CODES, SCANNER_VERSION, Finding, Import, Report
from scanner.pickles.sniff import NAMES, disagreement

__all__ = ["EXIT_CODES", "POLICY_VERSION", "SCANNER_VERSION", "UNDERSTOOD", "Finding", "Import", "Report", "misnamed", "scan"]

UNDERSTOOD = frozenset(NAMES) - {"image", "text"}
"""Kinds that are read whole whatever they are called, so that a wrong name alone says nothing of the bytes."""


def misnamed(kind: str, name: str) -> Finding | None:
    """What is wrong with calling a file of this kind (`Report.kind`) `name`, or None: the one part of a verdict that is not the bytes'."""
    lie = disagreement(kind, name) if kind in UNDERSTOOD else None
    return Finding(lie[0], "F-EXTENSION", "", None, lie[1]) if lie else None


def scan(source: int | BinaryIO | Window, *, name: str) -> Report:
    """Judge one file: an open descriptor, a binary file object, or a `Window` of either; `name` is its file name.

    Never raises for anything in the bytes: what cannot be understood is verdict "error". Raises `OSError` where reading fails.
    A caller with little time raises `OutOfTime` in here (`sandbox.watch`); that too becomes verdict "error".
    """
    started = time.monotonic()
    report = Report(policy=POLICY_VERSION)
    collecting = gc.isenabled()
    gc.disable()  # a scan makes many small values and hardly a cycle; looking for cycles took a fifth of its time
    try:
        scan_window(source if isinstance(source, Window) else Window(source), name, report)
    except FormatError as error:
        say_error(report, error)
    except OSError:
        raise
    except MemoryError:
        gc.collect()  # the machine refers to itself, and what it holds is needed to say so
        report.say(ERROR, "F-LIMIT", "The file needs more memory to understand than is allowed.")
    except OutOfTime:
        report.say(ERROR, "F-LIMIT", "The file takes more time to understand than is allowed.")
    except Exception as error:  # fail closed: a fault of ours must never let a file through
        report.say(ERROR, "F-INTERNAL", f"The scanner could not finish this file ({type(error).__name__}).")
    finally:
        if collecting:
            gc.enable()
    report.settle()
    report.duration_ms = (time.monotonic() - started) * 1000
    return report
