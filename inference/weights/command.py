"""`python -m inference.weights convert`: a file of any kind that the scanner understands into safetensors files, in the locked child.

It reads nothing of the file itself, but its SHA-256: the scan and the conversion have a locked process each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from inference.weights.directories import directory_of
from inference.weights.locked import Made, Unfinished, Wanted, convert_locked
from inference.weights.recipe import Keep, Precision, Recipe
from inference.weights.targets import check_sources, check_targets
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.sandbox.parent import run_child

SCAN, SCAN_SECONDS = "scanner.child:main", 120
"""The scan's own child, by name: it judges the file and says where its tensors lie."""


def add_convert(commands: Any) -> None:
    """Adds `convert` to an `argparse` command's subparsers; what answers it is in `run`."""
    parser = commands.add_parser("convert", help="make safetensors files of a file of weights, without running it")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path, nargs="?", help="the file to be made")
    parser.add_argument("--keep", choices=get_args(Keep), default="all", help="everything, without EMA averages, or with them as weights")
    parser.add_argument("--precision", choices=get_args(Precision), default="keep")
    parser.add_argument(
        "--variant",
        nargs=2,
        action="append",
        default=[],
        metavar=("keep=K,precision=P", "TARGET"),
        help="one more file, made in the same pass; may be given several times",
    )
    parser.add_argument("--plain", action="store_true", help='metadata is {"format": "pt"} alone, as other tools write it')
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_argument("--json", action="store_true", help="print the whole report")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """0 when everything was made, 1 with a sentence on stderr when the file is at fault or the disk is full, 2 for a wrong command."""
    try:
        wanted = _wanted(asked)
    except ValueError as error:
        print(f"python -m inference.weights convert: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or asked.source}: {error.strerror or error}", file=sys.stderr)
        return 1
    try:
        with open(asked.source, "rb") as file:
            directory = read_directory(asked.source)
            sha256 = "" if asked.plain else hashlib.file_digest(file, "sha256").hexdigest()
        wanted = [Wanted(each.target, each.recipe, asked.plain, sha256) for each in wanted]
        with Meter() as meter:
            answers = convert_locked(asked.source, directory, wanted, progress=meter.show)
    except FormatError as error:
        return _refuse(error)
    except Unfinished as trouble:
        print(trouble.sentence, printable(trouble.text.strip().rpartition("\n")[2]), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or asked.source}: {error.strerror or error}", file=sys.stderr)
        return 1
    return _tell(wanted, answers, asked.json)


def _wanted(asked: argparse.Namespace) -> list[Wanted]:
    """What shall be made. Raises `ValueError` where that makes no sense, or would replace something, OSError for a missing source."""
    rows = [(asked.target, Recipe(asked.keep, asked.precision))] if asked.target else []
    rows += [(Path(target), _recipe(text)) for text, target in asked.variant]
    if not rows:
        raise ValueError("say which file to make: convert SOURCE TARGET")
    check_targets([target for target, _ in rows], asked.force)
    check_sources([asked.source])
    if len({os.path.realpath(target) for target, _ in rows}) < len(rows):
        raise ValueError("two variants cannot have the same name")
    return [Wanted(target, recipe) for target, recipe in rows]


def _recipe(text: str) -> Recipe:
    """ "keep=weights,precision=fp16", each of them optional."""
    fields = dict(part.partition("=")[::2] for part in text.split(",") if part)
    keep, precision = fields.pop("keep", "all"), fields.pop("precision", "keep")
    if fields or keep not in get_args(Keep) or precision not in get_args(Precision):
        known = f"keep={'|'.join(get_args(Keep))},precision={'|'.join(get_args(Precision))}"
        raise ValueError(f"{text!r} is no variant; write {known}")
    return Recipe(keep, precision)  # type: ignore[arg-type]


def read_directory(path: str | os.PathLike[str]) -> TensorDirectory:
    """Where the tensors of a file lie, as the scan in its locked child tells it.

    Raises FormatError `weights:unreadable` with the scanner's own words where it refuses the file, and OSError.
    """
    with open(path, "rb") as file:
        name = os.path.basename(path).encode("utf-8", "replace").decode()[-1024:]
        code, said = run_child(SCAN, file.fileno(), [name, "tensors", ""], timeout=SCAN_SECONDS)
    try:
        report = json.loads(said or b"") if code == 0 else {}
    except (ValueError, RecursionError):
        report = {}
    found = report.get("directory") if isinstance(report, dict) else None
    if found is None:
        raise FormatError("weights:unreadable", f"This file cannot be converted. {_why(report)}")
    return directory_of(found)


def _why(report: Any) -> str:
    findings = report.get("findings") if isinstance(report, dict) else None
    for severity in ("danger", "error", "suspicious"):
        for finding in findings if isinstance(findings, list) else ():
            if isinstance(finding, dict) and finding.get("severity") == severity:
                return printable(str(finding.get("message")), 500)
    return "The scanner gave no answer." if findings is None else "It holds no tensors that can be read without running it."


class Meter:
    """How far the work is, on a terminal's last line; nothing where stderr is none."""

    def __init__(self) -> None:
        self._shown = ""

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r" + " " * len(self._shown), end="\r", file=sys.stderr, flush=True)

    def show(self, done: int, total: int) -> None:
        if sys.stderr.isatty():
            self._shown = f"{100 * done // max(total, 1):3} %  {done / 1e9:.2f} of {total / 1e9:.2f} GB written and read back"
            print("\r" + self._shown, end="", file=sys.stderr, flush=True)


def _refuse(error: FormatError, name: str = "") -> int:
    place = f" ({printable(error.where)})" if error.where else ""
    print(f"{name}{error.code}: {error.sentence}{place}", file=sys.stderr)
    return 1


def _tell(wanted: Sequence[Wanted], answers: Sequence[Made | FormatError], whole: bool) -> int:
    """Print what was made, and what could not be; the exit code."""
    reports = []
    for each, answer in zip(wanted, answers, strict=True):
        name = f"{each.target}: " if len(wanted) > 1 else ""
        if isinstance(answer, FormatError):
            _refuse(answer, name)
            continue
        reports.append(answer.report)
        for warning in answer.report["warnings"]:
            print(name + printable(warning, 2000), file=sys.stderr)
        if "seccomp" not in answer.sandbox:
            print("This machine has no system-call filter, so the work was locked in less than it should be.", file=sys.stderr)
        if not whole:
            _print(name, answer)
    if whole and reports:
        print(json.dumps(reports[0] if len(wanted) == 1 else reports, indent=1))
    return 0 if len(reports) == len(wanted) else 1


def _print(name: str, made: Made) -> None:
    report = made.report
    print(f"{name}{report['tensors']} tensors, {made.size_bytes} bytes, {report['seconds']:.1f} s, SHA256 {made.hashes.sha256.upper()}")
    for reason, dropped in report["dropped"].items():
        print(f"left out: {dropped['count']} tensors, {dropped['size_bytes']} bytes ({printable(reason)})")
    for note in report["notes"]:
        print(printable(note, 2000))
