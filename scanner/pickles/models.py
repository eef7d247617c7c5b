"""Judges models that are no pickles, GGUF and ONNX: walked to the last byte, and what in them is run or opened elsewhere looked at."""

from __future__ import annotations

from registry.formats.gguf import read_gguf
from registry.formats.onnx import read_onnx
from registry.formats.plaintext import printable
from registry.formats.window import Window
from scanner.pickles.report import Report
from scanner.pickles.templates import judge_template


def scan_gguf(window: Window, report: Report) -> None:
    """A GGUF file; its chat templates are programs that other people's software runs."""
    model = read_gguf(window)
    report.tensors, report.bytes = model.tensors, model.nbytes
    for key, raw in model.templates:
        if objection := judge_template(raw):
            report.say(objection.severity, "G-TEMPLATE", objection.sentence, where=key)


def scan_onnx(window: Window, report: Report) -> None:
    """An ONNX model; tensors in files beside it are fine, and told, as are operators that need more than the runtime."""
    model = read_onnx(window)
    report.tensors, report.bytes = model.tensors, model.bytes
    if model.external:
        names = printable(", ".join(model.external[:4]) + (", ..." if len(model.external) > 4 else ""))
        report.say("info", "O-EXTERNAL", f"The numbers of this model lie in files beside it, which it needs: {names}.")
    if model.domains:
        names = printable(", ".join(model.domains[:4]) + (", ..." if len(model.domains) > 4 else ""))
        report.say("info", "O-DOMAIN", f"This model uses operators that ONNX itself does not define: {names}.")
