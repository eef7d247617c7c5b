"""Our side of `bench.weights`, each job in a process of its own: `python -m bench.weights_ours convert|merge|hash PATH... [options]`.

`--locked` is what the hub does: a locked child, hashes, and the result read back and compared. Without it the engine works in this
process, and `--no-hashes` and `--no-check` leave those parts out. Where the tensors lie is asked of the locked scanner, as in the hub.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from inference.weights import convert
from inference.weights.locked import Wanted, convert_locked
from inference.weights.recipe import Recipe
from registry.formats import hashes
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from scanner.run import scan_path

MULTIPLIER = 0.3


def directory_of(path: Path) -> TensorDirectory:
    return TensorDirectory.from_json(scan_path(path, name=path.name)["directory"])


def recipe(text: str) -> Recipe:
    """A recipe of "keep:precision", as in weights:fp16."""
    keep, _, precision = text.partition(":")
    return Recipe(keep, precision or "keep")  # type: ignore[arg-type]


class NoContents:
    """In the place of the hash of tensors (`ContentHash`), where only the hashes of the file that peers know are to be taken."""

    given_up = True

    def finish(self) -> tuple[None, tuple[()]]:
        return None, ()


def run_convert(asked: argparse.Namespace) -> None:
    source, *targets = asked.paths
    recipes = [recipe(text) for text in asked.variant or ["all:keep"]]
    directory = directory_of(source)
    if asked.locked:
        wanted = [Wanted(target, each) for target, each in zip(targets, recipes, strict=True)]
        for made in convert_locked(source, directory, wanted):
            if isinstance(made, FormatError):
                raise made
        return
    if asked.listed:
        hashes.ContentHash = NoContents  # type: ignore[assignment,misc]
    rows = [(each, target, None) for target, each in zip(targets, recipes, strict=True)]
    convert.convert_many(source, directory, rows, hashes=asked.hashes, check=asked.check)


def run_merge(asked: argparse.Namespace) -> None:
    """Always hashed; `--locked` in the child, and then always read back and compared."""
    from inference.weights.merging.locked import merge_locked
    from inference.weights.merging.merge import Given, merge
    from inference.weights.merging.recipe import MergeRecipe

    first, second, target = asked.paths
    merge_recipe = MergeRecipe("weighted_sum", MULTIPLIER)
    if asked.locked:
        merge_locked({"a": first, "b": second}, merge_recipe, target)
        return
    inputs = {}
    for role, path in (("a", first), ("b", second)):
        with path.open("rb") as file:
            inputs[role] = Given(path, read_safetensors(Window(file.fileno())))
    merge(inputs, target, merge_recipe, check=asked.check)


def run_hash(asked: argparse.Namespace) -> None:
    """The hashes of finished files and nothing else: what making such files cannot do without."""
    if asked.listed:
        hashes.ContentHash = NoContents  # type: ignore[assignment,misc]
    for path in asked.paths:
        hashes.hash_file(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=["convert", "merge", "hash"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--variant", action="append")
    parser.add_argument("--locked", action="store_true")
    parser.add_argument("--listed", action="store_true", help="SHA256, AutoV1-3, BLAKE3 and CRC32, without the hash of tensors")
    parser.add_argument("--no-hashes", dest="hashes", action="store_false")
    parser.add_argument("--no-check", dest="check", action="store_false")
    asked = parser.parse_args()
    {"convert": run_convert, "merge": run_merge, "hash": run_hash}[asked.job](asked)


if __name__ == "__main__":
    main()
