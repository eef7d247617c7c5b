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
from scanner.opinions.extract import pickles_of
from scanner.sandbox import lock, orders, say, watch

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
"""(the tool's own word, its objections as (level, what it objects to, sentence))."""


class Late(BaseException):
    """Time is up; not an Exception, so that nothing in the other scanner takes it for its own."""


def picklescan() -> None:
    """Entry of the process that asks picklescan."""
    module = importlib.import_module("picklescan.scanner")
    order = ("innocuous", "suspicious", "dangerous")

    def read(pickles: list[bytes]) -> Answer:
        worst, objections, broken = 0, [], False
        for data in pickles:
            result = module.scan_pickle_bytes(io.BytesIO(data), "pickle")
            broken = broken or result.scan_err
            for found in result.globals:
                level = found.safety.value
                worst = max(worst, order.index(level))
                if level == "dangerous":
                    objections.append((level, f"{found.module}.{found.name}", f"imports {found.module}.{found.name}"))
        if broken and not objections:
            raise ValueError("a pickle could not be read to its end")
        return order[worst], objections

    _ask(read)


def fickling() -> None:
    """Entry of the process that asks fickling."""
    fickle = importlib.import_module("fickling.fickle")
    analysis = importlib.import_module("fickling.analysis")

    def read(pickles: list[bytes]) -> Answer:
        results = [analysis.AnalysisResult(analysis.Severity.LIKELY_SAFE)]
        for data in pickles:
            results += analysis.check_safety(fickle.Pickled.load(data)).results
        results.sort(key=lambda result: -result.severity.severity)
        objections = [(result.severity.name, result.analysis_name or "", str(result)) for result in results if result.message]
        return results[0].severity.name, objections

    _ask(read)


def _ask(read: Callable[[list[bytes]], Answer]) -> None:
    gc.disable()  # one short life
    logging.disable(logging.CRITICAL)
    given = orders()
    window = Window(given.fd)
    with suppress(Exception):  # if it fails on these it will say so of the file
        read(list(WARM))
    finish = watch(given.seconds, Late)
    layers = lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes)
    answer = _answer(read, window, given.seconds)
    finish()
    say({**answer, "sandbox": layers})


def _answer(read: Callable[[list[bytes]], Answer], window: Window, seconds: float) -> dict[str, Any]:
    """{"word", "objections"}, or one of {"error": text}, {"skipped": text}, {"none": true}."""
    try:
        pickles = pickles_of(window)
        if not pickles:
            return {"none": True}
        word, objections = read(pickles)
        return {"word": word, "objections": [[printable(part) for part in row] for row in dict.fromkeys(objections)][:MOST]}
    except FormatError as error:
        return {"skipped": "too large"} if error.code == "O-LARGE" else {"none": True}
    except Late:
        return {"error": f"did not finish within {seconds:g} seconds"}
    except BaseException as error:  # whatever ends the other scanner is told and changes nothing
        return {"error": printable(f"{type(error).__name__}: {error}", 150)}
