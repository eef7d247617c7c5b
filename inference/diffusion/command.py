"""The command that renders one prompt with files at hand: in the same locked child as the hub, each PNG with its parameters in it.

It takes safetensors alone; `python -m inference.weights convert` makes them of anything else. Free of torch.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from inference.diffusion import infotext, t5folder
from inference.diffusion.bounds import MAX_SEED, check_shot
from inference.diffusion.conversation import EngineTrouble
from inference.diffusion.families import describe
from inference.diffusion.jobs import CHECKPOINT, EMBEDDING, HYPERNETWORK, LORA, REFINER, VAE, AddOn, Event, Job, JobFile, Shot
from inference.diffusion.prompts import parse
from inference.diffusion.samplernames import resolve
from inference.engine import Engine
from inference.weights.targets import check_sources, check_targets
from registry.formats.errors import FormatError
from registry.formats.hashes import hash_file
from registry.formats.plaintext import printable
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window

MAX_COUNT = 64
NETWORKS = {LORA: "lora", HYPERNETWORK: "hypernet"}
"""Roles whose strength a prompt may tell, and by which tag."""

Given = tuple[str, Path, float | None]
"""Role, file, and how strongly it acts where that was said."""


def main(arguments: list[str] | None = None) -> int:
    """0 when every picture was made, 1 with a sentence on stderr, 2 for a wrong command, 130 for Ctrl-C."""
    asked = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return run(asked)
    except ValueError as error:
        print(f"python -m inference.diffusion: {error}", file=sys.stderr)
        return 2
    except FormatError as error:
        print(f"{error.code}: {error.sentence}" + (f" ({printable(error.where)})" if error.where else ""), file=sys.stderr)
    except EngineTrouble as trouble:
        print(trouble.sentence, printable(trouble.text.strip().rpartition("\n")[2]), file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 1


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave as for Ctrl-C, so that no child stays."""
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference.diffusion", description="Render a prompt with weights at hand.")
    parser.add_argument("checkpoint", type=Path, metavar="FILE", help="a checkpoint as safetensors")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--negative", default="", metavar="PROMPT")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg", type=float, default=7.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first picture; each further one has the next")
    parser.add_argument("--sampler", default="DPM++ 2M Karras", help="by A1111's name, with or without its schedule type")
    parser.add_argument("--size", default="", metavar="WxH", help="in pixels; without it what the model was made for")
    parser.add_argument("--clip-skip", type=int, default=1, help="as A1111 counts")
    parser.add_argument("--lora", action="append", default=[], metavar="FILE[:STRENGTH]")
    parser.add_argument("--hypernetwork", action="append", default=[], metavar="FILE[:STRENGTH]")
    parser.add_argument("--embedding", action="append", default=[], metavar="FILE", help="its name in the prompt is the file's")
    parser.add_argument("--vae", metavar="FILE")
    parser.add_argument("--refiner", metavar="FILE", help="SDXL's second stage over an SDXL checkpoint")
    parser.add_argument("--prediction", choices=("epsilon", "v_prediction"), help="where the file cannot tell")
    parser.add_argument("--count", type=int, default=1, help="pictures, with seeds one after another")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png")
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="of processors; without it all but one, to 16")
    return parser


def run(asked: argparse.Namespace) -> int:
    """Raises `ValueError` for a wrong command, `FormatError`, `EngineTrouble`, OSError."""
    if not 1 <= asked.count <= MAX_COUNT:
        raise ValueError(f"--count is 1 to {MAX_COUNT}")
    targets = _targets(asked.output, asked.count)
    given = _given(asked)
    check_targets(targets, asked.force)
    check_sources([path for _, path, _ in given])
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(path.open("rb")) for _, path, _ in given]
        shot = _shot(asked, given, opened[0].fileno())
        files = tuple(_job_file(role, path) for role, path, _ in given)
        shots = tuple(replace(shot, seed=(asked.seed + number) % (MAX_SEED + 1)) for number in range(asked.count))
        readable, environment = t5folder.for_child(t5folder.t5_folder())
        engine = Engine(asked.device, threads=asked.threads, readable=readable, environment=environment)
        stack.callback(engine.stop)
        scribe = _Scribe(files, shots, targets)
        with scribe:
            engine.render(Job(files, shots, asked.prediction), [file.fileno() for file in opened], scribe.hear)
    return 0 if scribe.made == len(shots) else 1


def _targets(output: Path, count: int) -> list[Path]:
    """The file itself, or `out-1.png`, `out-2.png`..."""
    if count == 1:
        return [output]
    return [output.with_name(f"{output.stem}-{number}{output.suffix}") for number in range(1, count + 1)]


def _given(asked: argparse.Namespace) -> list[Given]:
    found: list[Given] = [(CHECKPOINT, asked.checkpoint, None)]
    found += [(LORA, *_with_strength(text)) for text in asked.lora]
    found += [(HYPERNETWORK, *_with_strength(text)) for text in asked.hypernetwork]
    found += [(EMBEDDING, Path(text), None) for text in asked.embedding]
    return found + [(role, Path(text), None) for role, text in ((VAE, asked.vae), (REFINER, asked.refiner)) if text]


def _with_strength(text: str) -> tuple[Path, float | None]:
    """ "FILE:0.8"; a file whose name has such an end is given with a strength behind it."""
    name, _, number = text.rpartition(":")
    return (Path(name), float(number)) if name and re.fullmatch(r"-?\d+(\.\d+)?", number) else (Path(text), None)


def _job_file(role: str, path: Path) -> JobFile:
    known = hash_file(path)
    return JobFile(role, path.stem, known.sha256, known.size_bytes, known.autov3 or "")


def _shot(asked: argparse.Namespace, given: Sequence[Given], fd: int) -> Shot:
    """The first picture. Raises `FormatError` for what cannot be rendered, `ValueError` for a size that is none."""
    sampler, schedule = resolve(asked.sampler)
    width, height = _size(asked.size, fd)
    addons = tuple(_addon(place, *one, asked.prompt) for place, one in enumerate(given) if place)
    shot = Shot(asked.prompt, asked.negative, width, height, sampler, schedule, asked.steps, asked.cfg, asked.seed, asked.clip_skip, addons)
    check_shot(shot)
    return shot


def _addon(place: int, role: str, path: Path, strength: float | None, prompt: str) -> AddOn:
    """Said strengths count before those of a tag in the prompt, and without either it is 1."""
    if strength is None and role in NETWORKS:
        for network in parse(prompt).networks:
            if (network.kind, network.name) == (NETWORKS[role], path.stem):
                return AddOn(place, network.strength, network.text_strength)
    return AddOn(place, 1.0 if strength is None else strength)


def _size(text: str, fd: int) -> tuple[int, int]:
    if not text:
        directory = read_safetensors(Window(fd))
        shapes = {str(tensor.path[0]): tensor.shape for tensor in directory.tensors}
        native = describe(shapes, directory.metadata).native_size
        return native, native
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if match is None:
        raise ValueError("--size is written 512x768")
    return int(match[1]), int(match[2])


class _Scribe:
    """Writes pictures as they come, and tells on a terminal how far the work is."""

    def __init__(self, files: tuple[JobFile, ...], shots: tuple[Shot, ...], targets: Sequence[Path]) -> None:
        self._files, self._shots, self._targets = files, shots, targets
        self._line = ""
        self.made = 0

    def __enter__(self) -> _Scribe:
        return self

    def __exit__(self, *_: object) -> None:
        self._show("")

    def hear(self, event: Event) -> None:
        if event.kind == "picture":
            self._write(event.shots[0], event.png)
        elif event.kind in ("note", "unfit"):
            self._show("")
            print(printable(event.note, 500), file=sys.stderr)
        elif event.kind == "loading":
            self._show(f"Loading {event.note}")
        elif event.kind == "step":
            self._show(f"Step {event.step} of {event.steps} of {len(event.shots)} picture{'s' * (len(event.shots) > 1)}")

    def _write(self, place: int, png: bytes) -> None:
        said = infotext.facts(self._files, self._shots[place])
        beside = self._targets[place].with_name(f".{self._targets[place].name}.{os.getpid()}")
        try:
            beside.write_bytes(infotext.embed(png, infotext.write(said)))
            beside.replace(self._targets[place])
        finally:
            beside.unlink(missing_ok=True)
        self.made += 1
        self._show("")
        print(self._targets[place])

    def _show(self, text: str) -> None:
        if sys.stderr.isatty() and (text or self._line):
            print("\r" + " " * len(self._line) + "\r" + text, end="", file=sys.stderr, flush=True)
            self._line = text
