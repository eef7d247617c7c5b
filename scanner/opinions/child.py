"""The process in which another scanner reads a file's pickles: imports it, locks itself in, asks it, says what it said, ends.

Started by `scanner.opinions.asking` only. Nothing is unpickled here, and what the other scanner does cannot leave the process.
"""

from __future__ import annotations

import encodings.ascii
import encodings.idna
import encodings.latin_1
import encodings.raw_unicode_escape
import encodings.unicode_escape
import encodings.utf_8
import gc
import importlib
import io
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.formats.window import Window
from registry.sandbox.child import orders, say, watch
from registry.sandbox.locks import lock
from scanner.opinions.extract import pickles_of

PRELOADED = (encodings.ascii, encodings.idna, encodings.latin_1, encodings.raw_unicode_escape, encodings.unicode_escape, encodings.utf_8)
"""Modules that are otherwise imported on first use, when nothing can be opened any more."""

WARM = (
    b"(dp0\nS'a'\np1\nI1\nsV\\u00e9\nL2L\nsS'c'\ncos.path\njoin\np2\n(S'd'\ntp3\nRp4\ns.",
    b"\x80\x04}\x94\x8c\x01a\x94\x8c\x02io\x94\x8c\x07BytesIO\x94\x93\x94)R\x94\x8c\x01b\x94\x88ss.",
)
"""Harmless pickles that the other scanner reads while it may still import what it imports late."""

MOST = 50
"""Objections that are told, the worst first."""

Answer = tuple[str, list[tuple[str, str, str]]]
"""What a tool says of one pickle: its own word, its objections as (level, what it objects to, sentence)."""


class Late(BaseException):
    """Time is up; not an Exception, so that nothing in the other scanner takes it for its own."""


def picklescan() -> None:
    """Entry of the process that asks picklescan."""
    module = importlib.import_module("picklescan.scanner")
    order = ("innocuous", "suspicious", "dangerous")

    def read(pickle: bytes) -> Answer:
        result = module.scan_pickle_bytes(io.BytesIO(pickle), "pickle")
        levels = {found.safety.value for found in result.globals}
        if result.scan_err and "dangerous" not in levels:
            raise ValueError("the pickle could not be read to its end")
        names = [f"{found.module}.{found.name}" for found in result.globals if found.safety.value == "dangerous"]
        return max(levels, key=order.index, default=order[0]), [("dangerous", name, f"imports {name}") for name in sorted(names)]

    _ask(order, read)


def fickling() -> None:
    """Entry of the process that asks fickling."""
    fickle = importlib.import_module("fickling.fickle")
    analysis = importlib.import_module("fickling.analysis")

    def read(pickle: bytes) -> Answer:
        results = analysis.check_safety(fickle.Pickled.load(pickle)).results
        worst = max((result.severity for result in results), default=analysis.Severity.LIKELY_SAFE)
        return worst.name, [(result.severity.name, result.analysis_name or "", str(result)) for result in results if result.message]

    _ask(tuple(severity.name for severity in analysis.Severity), read)


def _ask(order: tuple[str, ...], read: Callable[[bytes], Answer]) -> None:
    """Lock this process in, have the file's pickles read one by one, say what came out. `order`: the tool's words, the worst last."""
    gc.disable()  # one short life
    logging.disable(logging.CRITICAL)
    given = orders()
    window = Window(given.fd)
    for pickle in WARM:
        with suppress(Exception):  # what fails on these will say so of the file
            read(pickle)
    finish = watch(given.seconds, Late)
    layers = lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes)
    answer = _answer(order, read, window, given.seconds)
    finish()
    say({**answer, "sandbox": layers})


def _answer(order: tuple[str, ...], read: Callable[[bytes], Answer], window: Window, seconds: float) -> dict[str, Any]:
    """{"skipped": text}, {"none": true}, or {"word", "objections", "error": text or ""} of all pickles together.

    A pickle on which the tool fails silences it for that one only: what it said of the others is told as well.
    """
    worst, objections, error = order[0], [], ""
    try:
        pickles = pickles_of(window)
        for pickle in pickles:
            try:
                word, found = read(pickle)
            except Exception as failure:
                error = printable(f"{type(failure).__name__}: {failure}", 150)
                continue
            worst = max(worst, word, key=order.index)
            objections += found
    except FormatError as failure:
        return {"skipped": "too large"} if failure.code == "O-LARGE" else {"none": True}
    except Late:
        error = f"did not finish within {seconds:g} seconds"
    else:
        if not pickles:
            return {"none": True}
    objections.sort(key=lambda row: -order.index(row[0]))
    told = [[printable(part) for part in row] for row in dict.fromkeys(objections)]
    return {"word": worst, "objections": told[:MOST], "error": error}
