"""Judges a zip of several files: every member by the rules of its own kind, and the bundle by its worst member. Unpacks nothing to disk.

A torch checkpoint is a zip too; `is_torch` tells the two apart, as torch itself would.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from registry.formats.errors import FormatError, LimitExceeded, Unsupported
from registry.formats.plaintext import printable
from registry.formats.strictzip import STORED, Archive, Member
from registry.formats.window import Window
from registry.formats.zipnames import check_portable
from scanner.pickles.limits import LIMITS
from scanner.pickles.report import ERROR, Finding, Report

MAX_PARTS = 2_000
MAX_UNPACKED = 64 << 20
MAX_UNPACKED_IN_ALL = 256 << 20
CHUNK = 1 << 20

WEIGHTS = frozenset({"torch-zip", "torch-legacy", "torch-tar", "pickle", "safetensors", "npy", "npz", "gguf", "onnx", "bundle"})
"""Kinds that are what a bundle is for."""

ScanPart = Callable[[Window, str, Report], None]


def is_torch(archive: Archive) -> bool:
    """Whether torch.load would look for a checkpoint in this zip: it takes `<folder>/data.pkl`, in letters of any case."""
    inner = {member.name.casefold().partition("/")[2] for member in archive.members}
    return not inner.isdisjoint({"data.pkl", "constants.pkl"})


def scan_bundle(archive: Archive, report: Report, scan_part: ScanPart) -> None:
    """Every member into `report`, under its path; raises `FormatError` where the bundle as a whole is not one that is taken."""
    parts = [member for member in archive.members if not member.is_directory]
    report.kind = "bundle"
    if not archive.checksums:
        raise FormatError("Z-CRC", "The archive's parts have no checksums; pack the files again.")
    if len(parts) > MAX_PARTS:
        raise LimitExceeded("Z-LIMIT", f"The archive holds more than {MAX_PARTS} files.")
    if _is_keras(parts):
        _refuse_keras(archive, parts, report)
    for member in archive.members:
        _check_path(member, report)
    kinds: set[str] = set()
    left = MAX_UNPACKED_IN_ALL
    for member in parts:
        left -= 0 if member.method == STORED else member.size
        if left < 0:
            raise LimitExceeded("Z-BOMB", f"The archive unpacks to more than {MAX_UNPACKED_IN_ALL >> 20} MB. Store big files unpacked.")
        inner = Report(policy=report.policy, budget=report.budget)
        try:
            scan_part(_content(archive, member), member.name.rpartition("/")[2], inner)
        except FormatError as error:
            inner.say(ERROR, error.code, error.sentence, where=error.where, offset=error.offset)
        _merge(report, member.name, inner)
        kinds.add(inner.kind)
        if report.opcodes > LIMITS.opcodes:
            raise LimitExceeded("P-LIMIT", "The archive's pickles are together far larger than weights need.", where=member.name)
    if kinds == {"npy"}:
        report.kind = "npz"
    if kinds.isdisjoint(WEIGHTS) and not report.findings:
        raise FormatError("F-NOTHING", "The archive holds no weights, only texts or pictures. Upload the weight files.")


def _check_path(member: Member, report: Report) -> None:
    """People unpack bundles, on any system. An odd name is told, and what is under it judged all the same."""
    parts = member.name.split("/")
    if parts[0] == "__MACOSX" or parts[-1] == ".DS_Store" or parts[-1].startswith("._"):
        sentence = "The archive holds notes that macOS adds. Pack it without them: zip -r pack.zip folder -x '*.DS_Store' '__MACOSX/*'."
        raise FormatError("Z-MACOS", sentence, where=member.name)
    try:
        check_portable(member.name)
    except FormatError as error:
        report.say(ERROR, error.code, error.sentence, where=error.where)


def _content(archive: Archive, member: Member) -> Window:
    """The bytes of a member: where they lie in the file, or unpacked in memory."""
    if member.method != STORED:
        if member.size > MAX_UNPACKED:
            raise LimitExceeded(
                "Z-BOMB", f"A packed part is larger than {MAX_UNPACKED >> 20} MB. Store it unpacked, or upload it by itself."
            )
        return Window(io.BytesIO(archive.read(member, MAX_UNPACKED)))
    part = archive.window.part(member.data, member.size)
    crc = 0
    for at in range(0, member.size, CHUNK):
        crc = zlib.crc32(part.read(at, min(CHUNK, member.size - at)), crc)
    if crc != member.crc32:
        raise FormatError("Z-CRC", "A part of the archive does not match its checksum; the upload is damaged.")
    return part


def _merge(report: Report, path: str, inner: Report) -> None:
    """Everything that was found in a member, told with its path. A member's lying name is the bundle's own fault, not its name's."""
    for row in inner.imports:
        report.count_import(replace(row, where=_place(path, row.where)))
    for finding in inner.findings:
        code = "Z-EXTENSION" if finding.code == "F-EXTENSION" else finding.code
        if report.is_news(finding.severity, code, finding.message):
            report.findings.append(_moved(finding, path, code))
    report.tensors += inner.tensors
    report.bytes += inner.bytes
    report.opcodes += inner.opcodes


def _moved(finding: Finding, path: str, code: str) -> Finding:
    return replace(finding, code=code, where=_place(path, finding.where))


def _place(path: str, where: str) -> str:
    return f"{printable(path)}!{where}" if where else printable(path)


# --- Keras ---------------------------------------------------------------------------------------------------------------


def _is_keras(parts: list[Member]) -> bool:
    names = {member.name for member in parts}
    return "config.json" in names and any(name.endswith((".weights.h5", ".h5")) for name in names)


def _refuse_keras(archive: Archive, parts: list[Member], report: Report) -> None:
    """A `.keras` archive: its settings may name any Python function, so what it would run is told; it is not taken either way."""
    report.kind = "keras"
    member = next(member for member in parts if member.name == "config.json")
    try:
        settings = json.loads(archive.read(member, MAX_UNPACKED).decode())
        code = _runs(settings)
    except (ValueError, RecursionError) as error:
        raise FormatError("K-CONFIG", "The Keras model's config.json cannot be read.", where="config.json") from error
    if code:
        raise FormatError("K-LAMBDA", f"This Keras model carries code that runs when it is loaded ({code}).", where="config.json")
    raise Unsupported("F-UNSUPPORTED", "This is a Keras model, which is not taken yet. Upload the weights as safetensors.")


def _runs(settings: Any) -> str:
    """The first thing in Keras settings that is code: a Lambda layer, or a class or function of a module that is not Keras's."""
    todo = [settings]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
            name = value.get("class_name")
            module = value.get("module")
            if "__lambda__" in value or name in ("Lambda", "__lambda__"):
                return "a Lambda layer"
            if isinstance(module, str) and module.partition(".")[0] != "keras":
                return "a function that is not Keras's own"
            if ">" in str(value.get("registered_name")):
                return "a class of its own"
    return ""
