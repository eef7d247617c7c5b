"""Judges numpy array files: numbers are taken; an array of objects is a pickle in disguise and is also told what it would do."""

from __future__ import annotations

from contextlib import suppress

from registry.formats.errors import FormatError
from registry.formats.npy import data_start, read_npy
from registry.formats.window import Window
from scanner.pickles.machine import Machine
from scanner.pickles.opcodes import Stream
from scanner.pickles.report import Report


def scan_npy(window: Window, report: Report) -> None:
    """One .npy file; raises `FormatError` with an "N-" code where it is not exactly one array of numbers."""
    try:
        header = read_npy(window)
    except FormatError as error:
        if error.code == "N-OBJECT":
            _tell_what_it_runs(window, report)
        raise
    report.tensors, report.bytes = 1, header.size


def _tell_what_it_runs(window: Window, report: Report) -> None:
    """The verdict is danger either way; this adds what stands in the pickle behind the header."""
    with suppress(FormatError):
        Machine(Stream(window, data_start(window)), report, "pickle in the array").run()
