"""`python -m inference.weights merge`: a merge from the command line, in the locked child."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from inference.weights.locked import Made, Unfinished
from inference.weights.merging.locked import merge_locked
from inference.weights.merging.recipe import METHODS, PRECISIONS, MergeRecipe, Origin
from inference.weights.targets import check_sources, check_targets
from registry.formats.errors import FormatError
from registry.formats.hashes import AUTOV1_MIN_FILE, AUTOV1_SIZE, AUTOV1_START


def add_merge(commands: Any) -> None:
    """Adds `merge` to an `argparse` command's subparsers; its answer is in `run`."""
    parser = commands.add_parser("merge", help="merge checkpoints by A1111's formulas")
    parser.add_argument("target", type=Path, metavar="OUT")
    parser.add_argument("--method", choices=METHODS, default="weighted_sum")
    for role, needed in (("a", True), ("b", False), ("c", False), ("vae", False)):
        parser.add_argument(f"--{role}", type=Path, required=needed, metavar="FILE")
    parser.add_argument("--lora", type=_lora, action="append", default=[], metavar="FILE:STRENGTH", help="may be given several times")
    parser.add_argument("--multiplier", type=float, default=0.5, metavar="M")
    parser.add_argument("--block-weights", type=_numbers, default=(), metavar="W,W,...", help="BASE,IN00..,M00,OUT00.. (26, 25, 20 or 19)")
    parser.add_argument("--discard", default="", metavar="RE", help="leave out tensors whose names this finds")
    parser.add_argument("--precision", choices=PRECISIONS, default="keep")
    parser.add_argument("--merged-only", action="store_true", help="the precision leaves copied tensors as they are, as in A1111")
    parser.add_argument("--plain", action="store_true", help='metadata is {"format": "pt"} alone, as other tools write it')
    parser.add_argument("--name", default="", help="what the result calls itself in its metadata")
    parser.add_argument("--force", action="store_true", help="replace a file that exists")
    parser.add_argument("--json", action="store_true", help="print the whole report")
    parser.set_defaults(run=run)


def _lora(text: str) -> tuple[Path, float]:
    path, colon, strength = text.rpartition(":")
    try:
        return (Path(path), float(strength)) if colon and path else (Path(text), 1.0)
    except ValueError:
        return Path(text), 1.0


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def run(asked: argparse.Namespace) -> int:
    """0 when the file was made; 1 with a sentence on stderr when inputs, recipe or disk are at fault; 2 for a wrong command."""
    files = {role: getattr(asked, role) for role in ("a", "b", "c", "vae") if getattr(asked, role) is not None}
    files |= {f"lora{number}": path for number, (path, _) in enumerate(asked.lora)}
    try:
        check_targets([asked.target], asked.force)
        check_sources(files.values())
        recipe = MergeRecipe(
            method=asked.method,
            multiplier=asked.multiplier,
            precision=asked.precision,
            blocks=asked.block_weights,
            vae="vae" in files,
            loras=tuple(strength for _, strength in asked.lora),
            discard=asked.discard,
            copied_too=not asked.merged_only,
            metadata="plain" if asked.plain else "full",
            name=asked.name,
        )
        origins = {} if asked.plain else {role: _origin(path) for role, path in files.items()}
        made = merge_locked(files, recipe, asked.target, origins=origins)
    except FormatError as error:
        print(f"{error.code}: {error.sentence}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"python -m inference.weights merge: {error}", file=sys.stderr)
        return 2
    except Unfinished as error:
        print(error.sentence, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or asked.target}: {error.strerror}", file=sys.stderr)
        return 1
    _print(made, asked.json)
    return 0


def _origin(path: Path) -> Origin:
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        file.seek(AUTOV1_START)
        window = file.read(AUTOV1_SIZE)
    return Origin(sha256, path.name, hashlib.sha256(window).hexdigest()[:8] if size >= AUTOV1_MIN_FILE else "")


def _print(made: Made, whole: bool) -> None:
    report = made.report
    for warning in report["warnings"]:
        print(warning, file=sys.stderr)
    if whole:
        print(json.dumps(report, indent=1))
        return
    print(f"{report['tensors']} tensors, {made.size_bytes} bytes, {report['seconds']:.1f} s, SHA256 {made.hashes.sha256.upper()}")
    for what, count in report["counts"].items():
        print(f"{what}: {count} tensor{'s' if count != 1 else ''}")
    for reason, dropped in report["dropped"].items():
        print(f"left out: {dropped['count']} tensors, {dropped['size_bytes']} bytes ({reason})")
    for number, lora in enumerate(report["loras"], 1):
        missed = f"{lora['unmatched']} not in this model, {lora['not_understood']} tensors not understood"
        print(f"LoRA {number}: {lora['baked']} layers baked, {missed}")
    for note in report["notes"]:
        print(note)
