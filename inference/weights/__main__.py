"""`python -m inference.weights convert SRC DST`: one conversion from the command line. It leaves reading pickles to a scanner process."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from inference.weights.convert import convert, derived_metadata
from inference.weights.outcome import Outcome
from inference.weights.recipe import Recipe
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.hashes import hash_file
from registry.formats.safetensors import looks_like_safetensors, read_safetensors
from registry.formats.window import Window


def read_directory(path: Path) -> TensorDirectory:
    """Where the tensors of a file lie: from a safetensors header, or as the scanner tells it of a pickle.

    Raises FormatError `weights:unreadable` with the scanner's own words when it refuses the file.
    """
    with open(path, "rb") as file:
        if looks_like_safetensors(file.read(9)):
            return read_safetensors(Window(file.fileno()))
    command = [sys.executable, "-m", "scanner.pickles", "--tensors", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if not done.stdout.strip():
        raise FormatError("weights:unreadable", f"This file cannot be read: {done.stderr.strip()[-500:] or 'the scanner gave no answer.'}")
    answer = json.loads(done.stdout)
    found = answer.get("directory", answer)
    if not isinstance(found, dict) or "tensors" not in found:
        raise FormatError("weights:unreadable", "This file holds no tensors that can be read without running it.")
    return TensorDirectory.from_json(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m inference.weights", description="Make a safetensors file without running the source.")
    convert_parser = parser.add_subparsers(required=True).add_parser("convert")
    convert_parser.add_argument("source", type=Path)
    convert_parser.add_argument("target", type=Path)
    convert_parser.add_argument("--keep", choices=["all", "weights", "ema"], default="all")
    convert_parser.add_argument("--precision", choices=["keep", "fp32", "fp16", "bf16"], default="keep")
    convert_parser.add_argument("--plain", action="store_true", help='metadata is {"format": "pt"} alone, as other tools write it')
    convert_parser.add_argument("--json", action="store_true", help="print the whole report")
    return parser.parse_args()


def _print(outcome: Outcome) -> None:
    sha256 = outcome.hashes.sha256.upper() if outcome.hashes else "not asked for"
    print(f"{outcome.tensors} tensors, {outcome.size_bytes} bytes, {outcome.seconds:.1f} s, SHA256 {sha256}")
    for reason, dropped in outcome.dropped.items():
        print(f"left out: {dropped.count} tensors, {dropped.size_bytes} bytes ({reason})")
    for note in outcome.notes:
        print(note)


def main() -> int:
    """0 when the file was made; 1 with a sentence on stderr when the source is at fault."""
    asked = _arguments()
    recipe = Recipe(asked.keep, asked.precision)
    try:
        directory = read_directory(asked.source)
        metadata = {"format": "pt"} if asked.plain else derived_metadata(directory, recipe, source_sha256=hash_file(asked.source).sha256)
        outcome = convert(asked.source, directory, asked.target, recipe, metadata=metadata)
    except FormatError as error:
        print(f"{error.code}: {error.sentence}" + (f" ({error.where})" if error.where else ""), file=sys.stderr)
        return 1
    if asked.json:
        print(json.dumps(outcome.to_json(), indent=1))
    else:
        _print(outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
