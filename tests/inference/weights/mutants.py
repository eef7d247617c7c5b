"""Damaged copies of small real files, and what conversion may say of each: a file that reads back, or a refusal. Judges no danger.

Every mutant comes from a seed and a number, so that one that fails can be made again alone.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open

from inference.weights.convert import convert
from inference.weights.directories import directory_of
from inference.weights.recipe import Recipe
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from scanner.pickles import scan
from tests.scanner.honest_kinds import old_with_views

MAX_CPU_SECONDS = 2.0
FORBIDDEN = frozenset(
    ["os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class", "exec"]
)
"""Audit events (PEP 578) that no conversion raises: programs, networks, unpickled classes, code."""
RECIPES = (Recipe(), Recipe("weights", "fp16"), Recipe("all", "bf16"), Recipe("ema", "fp16"), Recipe("weights", "fp32"))


def state() -> dict[str, torch.Tensor]:
    """A model in small, with what makes conversion work: EMA, odd types, views of every sort."""
    wide = torch.arange(48, dtype=torch.float32).reshape(6, 8) / 7
    return {
        "model.diffusion_model.input_blocks.0.0.weight": torch.full((2, 4, 3, 3), 0.25),
        "model.diffusion_model.out.2.weight": wide.t(),
        "model_ema.diffusion_modelout2weight": wide.t().contiguous() * 0.5,
        "model_ema.decay": torch.tensor(0.9999),
        "first_stage_model.decoder.conv_in.weight": wide[:, ::2],
        "first_stage_model.decoder.conv_in.alias": wide[:, ::2],
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77).reshape(1, 77),
        "half": torch.tensor([1.0, 65504.0, 6e-8, float("nan")], dtype=torch.float16),
        "brain": torch.tensor([1.0, -3e38], dtype=torch.bfloat16),
        "double": torch.tensor([1e300, 1e-300, 0.5], dtype=torch.float64),
        "flags": torch.tensor([True, False]),
        "nothing": torch.zeros(0, 4),
    }


def seeds() -> dict[str, bytes]:
    """File name -> bytes of the real files that mutants are made of: one of each form that conversion reads."""
    root = {"epoch": 1, "state_dict": state(), "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(8)}}}]}
    inversion = {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 16)}, "name": "word", "step": 5}
    hypernetwork = {320: ({"linear.0.weight": torch.ones(4, 2)}, {"linear.0.weight": torch.zeros(4, 2)}), "name": "net"}
    plain = {name: tensor.clone().contiguous() for name, tensor in state().items()}
    from safetensors.torch import save

    return {
        "zip.ckpt": saved(root),
        "legacy.ckpt": saved(root, zipped=False),
        "inversion.pt": saved(inversion),
        "hypernetwork.pt": saved(hypernetwork),
        "plain.safetensors": save(plain, metadata={"format": "pt", "ss_network_dim": "4"}),
        "oldest.pt": old_with_views(),
    }


def saved(root: object, *, zipped: bool = True) -> bytes:
    out = io.BytesIO()
    torch.save(root, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def damaged(data: bytes, dice: random.Random) -> bytes:
    """One to four wounds: bits turned, bytes overwritten, numbers changed, parts cut out, doubled or moved, an early end."""
    wounded = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        dice.choice(WOUNDS)(wounded, dice)
    return bytes(wounded)


def _turn_bits(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 1, 2, 8))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _overwrite(data: bytearray, dice: random.Random) -> None:
    at, size = dice.randrange(len(data)), dice.choice((1, 4, 16, 64))
    data[at : at + size] = dice.randbytes(min(size, len(data) - at))


def _change_number(data: bytearray, dice: random.Random) -> None:
    """A length or an offset that is a little, or very, wrong."""
    width = dice.choice((1, 2, 4, 8))
    at = dice.randrange(max(1, len(data) - width))
    value = int.from_bytes(data[at : at + width], "little")
    other = dice.choice((value + 1, value - 1, value * 2, 0, (1 << (8 * width)) - 1, 1 << (8 * width - 1), value + 4096))
    data[at : at + width] = (other % (1 << (8 * width))).to_bytes(width, "little")


def _cut(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 2, 8, 64, 1024))]
    data += b"." * (not data)


def _double(data: bytearray, dice: random.Random) -> None:
    at, size = dice.randrange(len(data)), dice.choice((1, 8, 64, 512))
    to = dice.randrange(len(data))
    data[to:to] = data[at : at + size]


def _end_early(data: bytearray, dice: random.Random) -> None:
    del data[max(1, dice.randrange(len(data))) :]


def _change_digit(data: bytearray, dice: random.Random) -> None:
    """A digit of a header in text, or of a key: shapes, places, names of storages."""
    digits = [at for at in range(min(len(data), 8192)) if 48 <= data[at] < 58]
    if digits:
        data[dice.choice(digits)] = 48 + dice.randrange(10)


WOUNDS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _turn_bits, _turn_bits, _overwrite, _change_number, _change_number, _cut, _double, _end_early, _change_digit,
)  # fmt: skip


def misled(directory: TensorDirectory, dice: random.Random) -> TensorDirectory:
    """A directory that says something else than the file: places, sizes, shapes, strides, types, names. Raises FormatError where no
    reader would take it.
    """
    data = json.loads(json.dumps(directory.to_json()))
    for _ in range(dice.choice((1, 1, 2, 4))):
        row = dice.choice(data["tensors"] + data["storages"])
        at = dice.randrange(len(row))
        row[at] = _other_value(row[at], dice)
    return directory_of(data)


def _other_value(value: object, dice: random.Random) -> object:
    if isinstance(value, list) and value:
        at = dice.randrange(len(value))
        return [*value[:at], _other_value(value[at], dice), *value[at + 1 :]]
    if isinstance(value, int) and not isinstance(value, bool):
        return dice.choice((value + 1, value - 1, value * 2, 0, 1, 7, 1 << 31, 1 << 61, value + 4096))
    return dice.choice((None, [], [3, 4], "F32", "F64", "C64", "U8", "a\udc80b", "", "x" * 2000, 5))


@dataclass
class Tally:
    """What became of the mutants: how many by ending, the slowest, and everything that must not be."""

    endings: Counter[str] = field(default_factory=Counter)
    slowest_cpu_seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class _Ear:
    """Hears forbidden audit events while it listens; a hook cannot be taken away again, so there is one a process."""

    listening = False
    heard: list[str] = []
    set_up = False

    @classmethod
    def hook(cls, event: str, arguments: tuple[object, ...]) -> None:
        module = event == "exec" and getattr(arguments[0], "co_name", "") == "<module>"  # a library that imports another one late
        if cls.listening and event in FORBIDDEN and not module:
            cls.heard.append(f"{event} {str(arguments)[:80]}")


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Forbidden events of this block."""
    if not _Ear.set_up:
        sys.addaudithook(_Ear.hook)
        _Ear.set_up = True
    _Ear.heard, _Ear.listening = [], True
    try:
        yield _Ear.heard
    finally:
        _Ear.listening = False


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small files need no disk to be synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def run(count: int, folder: Path, seed: int = 0) -> Tally:
    """Scan and convert `count` mutants in this process; each form gets as many as any other."""
    tally = Tally()
    files = list(seeds().items())
    for name, data in files:
        ending = try_one(name, data, Recipe(), folder)
        tally.faults += [] if ending == "converted" else [f"{name}, not damaged: {ending}"]
    for number in range(count):
        name, data = files[number % len(files)]
        dice = random.Random(f"{seed}:{number}")
        recipe, lie = dice.choice(RECIPES), dice.random() < 0.5
        mutant = data if lie and dice.random() < 0.8 else damaged(data, dice)
        started = time.process_time()
        try:
            with overheard() as heard:
                ending = try_one(name, mutant, recipe, folder, lie=dice if lie else None)
        except Exception as error:
            ending = "exception"
            tally.faults.append(f"{name} {seed}:{number}: {type(error).__name__}: {error}")
        taken = time.process_time() - started
        tally.endings[ending] += 1
        tally.faults += [f"{name} {seed}:{number}: {what}" for what in heard]
        tally.faults += [f"{name} {seed}:{number}: {taken:.1f} s"] if taken > MAX_CPU_SECONDS else []
        tally.slowest_cpu_seconds = max(tally.slowest_cpu_seconds, taken)
    return tally


def try_one(name: str, data: bytes, recipe: Recipe, folder: Path, *, lie: random.Random | None = None) -> str:
    """Convert one file as the hub would, even where the scan says no: "converted", "not readable" or the code of the refusal.

    With `lie` the directory that the scan made is damaged as well.

    Raises AssertionError where the output is not what the safetensors library reads, or a refusal leaves a file behind.
    """
    for left in folder.iterdir():
        left.unlink()
    source, target = folder / name, folder / "out.safetensors"
    source.write_bytes(data)
    with source.open("rb") as file:
        directory = scan(file.fileno(), name=name).directory
    if directory is None:
        return "not readable"
    refusal = _refusal(source, directory, target, recipe, lie)
    if refusal:
        assert sorted(os.listdir(folder)) == [name], os.listdir(folder)
        return refusal
    with safe_open(target, "pt") as written:
        for tensor in written.keys():  # noqa: SIM118  (safe_open is no dictionary)
            written.get_tensor(tensor)
    return "converted"


def _refusal(source: Path, directory: TensorDirectory, target: Path, recipe: Recipe, lie: random.Random | None) -> str:
    """ "refused: <code>", or "" where the target was made."""
    try:
        convert(source, misled(directory, lie) if lie else directory, target, recipe)
    except FormatError as error:
        return f"refused: {error.code}" if error.sentence else "refused without a sentence"
    return ""
