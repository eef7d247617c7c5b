"""Scans a whole file: decides by its bytes what it is, has the part that knows this kind judge it, then compares the name.

Nothing is unpacked to disk, imported or called. Judgements of single kinds stand in the modules beside this one.
"""

from __future__ import annotations

from registry.formats.errors import FormatError
from registry.formats.pictures import check_picture
from registry.formats.safetensors import read_safetensors
from registry.formats.strictzip import read_archive
from registry.formats.window import Window
from scanner.pickles.arrays import scan_npy
from scanner.pickles.bundles import is_torch, scan_bundle
from scanner.pickles.doubles import check_doubles, check_zip
from scanner.pickles.limits import LIMITS
from scanner.pickles.models import scan_gguf, scan_onnx
from scanner.pickles.report import DANGER, ERROR, Report
from scanner.pickles.sniff import HEAD, Refusal, disagreement, is_text_name, sniff
from scanner.pickles.tars import scan_tar
from scanner.pickles.texts import scan_text
from scanner.pickles.torchfiles import keep, scan_streams, scan_torch_zip

DANGEROUS_CODES = frozenset({"T-SCRIPT", "N-OBJECT", "O-PATH", "K-LAMBDA"})
"""Format errors that mean code or a way out rather than damage."""

HIDING_CODES = {"I-TRAILING": "F-POLYGLOT"}
"""Format errors that mean a second file inside the first, and the code they are told under."""


def scan_window(window: Window, name: str, report: Report, depth: int = 0) -> None:
    """Judge the file into `report`; a `FormatError` becomes a finding, anything else is the caller's to fail closed on.

    `depth` counts the archives around it.
    """
    if window.size == 0 and depth and is_text_name(name):
        report.kind = "text"
        return
    if window.size == 0:
        report.say(ERROR, "F-EMPTY", "The file is empty. Upload it again.")
        return
    kind = sniff(window.read(0, min(HEAD, window.size)), name)
    if isinstance(kind, Refusal):
        report.kind = kind.kind
        report.say(kind.severity, kind.code, kind.sentence)
        return
    report.kind = kind
    try:
        _scan(kind, window, name, report, depth)
    except FormatError as error:
        say_error(report, error)
    if lie := disagreement(report.kind, name):
        report.say(lie[0], "F-EXTENSION", lie[1])


def say_error(report: Report, error: FormatError) -> None:
    """Record a format error as a finding: error, or danger where it means code or something hidden."""
    code = HIDING_CODES.get(error.code, error.code)
    severity = DANGER if code in DANGEROUS_CODES or error.code in HIDING_CODES else ERROR
    report.say(severity, code, error.sentence, where=error.where, offset=error.offset)


def _scan(kind: str, window: Window, name: str, report: Report, depth: int) -> None:
    if kind == "zip":
        _scan_zip(window, report, depth)
        return
    if kind == "text":
        scan_text(window, name, report)
        return
    if kind == "pickle":
        check_zip(window, report)
    else:
        check_doubles(window, report)
    if kind == "safetensors":
        keep(report, read_safetensors(window))
    elif kind == "image":
        check_picture(window)
    else:
        {"npy": scan_npy, "gguf": scan_gguf, "onnx": scan_onnx, "tar": scan_tar, "pickle": scan_streams}[kind](window, report)


def _scan_zip(window: Window, report: Report, depth: int) -> None:
    archive = read_archive(window)
    if is_torch(archive):
        scan_torch_zip(archive, report)
        return
    if depth >= LIMITS.archives:
        raise FormatError("Z-DEPTH", "There is an archive in an archive in an archive. Unpack it and upload the weight files themselves.")
    scan_bundle(archive, report, lambda part, title, inner: scan_window(part, title, inner, depth + 1))
