"""Draws a contact sheet of the family from its committed files: `python -m samples.sheet [PNG] [--seed N]`, a minute or two on processors.

Its pictures come from the hub's own renderer, in its locked child, by the recipe of `samples.json`; the merge from the hub's own merger.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from inference.diffusion.jobs import CHECKPOINT, AddOn, Event, Job, JobFile, Shot
from inference.engine import Engine
from registry.formats.hashes import hash_file
from samples.build import HERE
from samples.safe import job_file, merged
from samples.training import files

Given = tuple[JobFile, Path]
Row = tuple[str, list[Given], list[Shot]]
CELL, LINE, LINES, LEFT = 136, 12, 3, 92
SIDE = 128
ADDONS = {"Sticker Sheet": files.STICKER, "Winterday": files.WINTERDAY, "Old Print": files.PRINT, "Crisp Edges": files.CRISP}
WITHOUT = {"Sticker Sheet": "no LoRA", "Winterday": "no embedding", "Old Print": "no hypernet", "Crisp Edges": "base's VAE"}


def rows(folder: Path, seed: int) -> Iterator[Row]:
    """Label, files and shots of every row: checkpoints by themselves, add-ons without and with them."""
    told = {entry["name"]: entry["version"]["prompts"] for entry in json.loads((HERE.parent / "samples.json").read_text())}
    base, neon = job_file(files.BASE, folder), job_file(files.NEON, folder)
    half = merged(neon[1], folder)
    for label, given in (("Paper Shapes", base), ("Neon Shapes", neon), ("Half Lit", (_checkpoint(half), half))):
        yield label, [given], _shots(told[label], seed)
    for label, name in ADDONS.items():
        given = [base, job_file(name, folder)]
        yield WITHOUT[label], given, _shots(told[label], seed)
        yield label, given, _shots(told[label], seed, (AddOn(1),))


def _checkpoint(path: Path) -> JobFile:
    known = hash_file(path)
    return JobFile(CHECKPOINT, path.stem, known.sha256, known.size_bytes)


def _shots(prompts: Sequence[str], seed: int, addons: tuple[AddOn, ...] = ()) -> list[Shot]:
    return [
        Shot(prompt, "", SIDE, SIDE, "DPM++ 2M", "Karras", 20, 5.0, seed + number, addons=addons) for number, prompt in enumerate(prompts)
    ]


def pictures(engine: Engine, given: list[Given], shots: Sequence[Shot]) -> list[Image.Image]:
    """In the order of the shots. Raises FormatError, EngineTrouble, and KeyError for a picture that came out as none."""
    made: dict[int, bytes] = {}

    def heard(said: Event) -> None:
        if said.kind == "picture":
            made[said.shots[0]] = said.png

    with ExitStack() as stack:
        fds = [stack.enter_context(path.open("rb")).fileno() for _, path in given]
        engine.render(Job(tuple(file for file, _ in given), tuple(shots)), fds, heard)
    return [Image.open(io.BytesIO(made[place])) for place in range(len(shots))]


def sheet(parts: Sequence[tuple[str, Sequence[Image.Image], Sequence[str]]]) -> Image.Image:
    """All rows beneath each other, each picture over its prompt."""
    picture = Image.new("RGB", (LEFT + 6 * CELL, len(parts) * (CELL + LINES * LINE)), "white")
    pen = ImageDraw.Draw(picture)
    for row, (label, made, prompts) in enumerate(parts):
        y = row * (CELL + LINES * LINE)
        pen.text((4, y + 58), label, fill="black")
        for column, one in enumerate(made):
            x = LEFT + column * CELL
            picture.paste(one, (x, y))
            for line, text in enumerate(textwrap.wrap(prompts[column], 22)[:LINES]):
                pen.text((x, y + SIDE + line * LINE), text, fill="black")
    return picture


def drawn(seed: int) -> Image.Image:
    """The whole sheet. One thread: two wait for each other where anything else runs."""
    engine = Engine("cpu", threads=1)
    try:
        with tempfile.TemporaryDirectory(prefix="weighhouse-sheet-") as folder:
            parts: list[Any] = [
                (label, pictures(engine, given, shots), [shot.prompt for shot in shots]) for label, given, shots in rows(Path(folder), seed)
            ]
    finally:
        engine.stop()
    return sheet(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("png", nargs="?", type=Path, default=HERE.parents[1] / "docs" / "screens" / "samples.png")
    parser.add_argument("--seed", type=int, default=1001, help="of the first picture of each row; the hub's previews have 1001")
    asked = parser.parse_args()
    asked.png.parent.mkdir(parents=True, exist_ok=True)
    drawn(asked.seed).save(asked.png, optimize=True)


if __name__ == "__main__":
    main()
