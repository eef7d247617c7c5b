"""Random damage: the scanner never raises, never hangs, and never reads another pickle than torch does."""

from __future__ import annotations

import io
import random
import time

import pytest
import torch

from registry.formats.errors import FormatError
from registry.formats.strictzip import read_archive
from registry.formats.torchzip import open_torch
from registry.formats.window import Window
from scanner.pickles import scan
from tests.attacks.assemble import legacy, pickled, system, torch_parts, torch_zip, zipped
from tests.scanner.honest import lightning, original_textual_inversion, plain_python, saved

SEED = 20261121
pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns of some of the damage it is shown


def mutated(data: bytes, dice: random.Random, limit: int | None = None) -> bytes:
    """One to four small changes: bit flips, bytes set, cut, doubled or moved."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(min(len(out), limit or len(out)))
        match dice.randrange(5):
            case 0:
                out[at] ^= 1 << dice.randrange(8)
            case 1:
                out[at] = dice.choice((0, 1, 0x28, 0x2E, 0x52, 0x7F, 0x80, 0x93, 0xFF, dice.randrange(256)))
            case 2:
                del out[at : at + dice.randint(1, 4)]
            case 3:
                out[at:at] = out[at : at + dice.randint(1, 12)]
            case _:
                to = dice.randrange(len(out))
                out[to : to + 4] = out[at : at + 4]
    return bytes(out) or b"\0"


def test_zip_mutants_show_torch_no_other_pickle() -> None:
    """Where our reader accepts a damaged archive, torch's own reader gets the same bytes for data.pkl and every storage."""
    dice = random.Random(SEED)
    made = [saved({"a": torch.arange(6.0), "b": torch.zeros(3)}), zipped([*torch_parts(), *torch_parts(pickled(system()), {}, "other")])]
    accepted = 0
    for number in range(20_000):
        data = mutated(made[number % 4 == 3], dice)
        try:
            ours = open_torch(read_archive(Window(io.BytesIO(data))))
            pickle = ours.read_pickle()
        except FormatError:
            continue
        accepted += 1
        theirs = torch._C.PyTorchFileReader(io.BytesIO(data))
        assert theirs.get_record("data.pkl") == pickle
        for key, member in ours.storages.items():
            assert theirs.get_record_offset(f"data/{key}") == member.data
    assert accepted > 200


def test_pickle_mutants_never_raise_or_hang() -> None:
    dice = random.Random(SEED)
    seeds = [saved(value) for value in (lightning(), original_textual_inversion(), plain_python())]
    bodies = [open_torch(read_archive(Window(io.BytesIO(data)))).read_pickle() for data in seeds]
    bodies += [pickled(system()), legacy()[:-24]]
    started = time.monotonic()
    verdicts = set()
    for number in range(2000):
        body = mutated(bodies[number % len(bodies)], dice)
        data, name = (torch_zip(body), "a.ckpt") if number % 2 else (body, "a.pkl")
        report = scan(io.BytesIO(data), name=name)
        assert "F-INTERNAL" not in {finding.code for finding in report.findings}, body
        verdicts.add(report.verdict)
    assert verdicts >= {"danger", "error"}
    assert time.monotonic() - started < 60


def test_safetensors_and_legacy_mutants_never_raise() -> None:
    import safetensors.torch

    dice = random.Random(SEED)
    tensors = {"a": torch.arange(6.0), "b": torch.zeros(2, 2).half()}
    modern, old = safetensors.torch.save(tensors, {"k": "v"}), legacy()
    for number in range(1000):
        data, name = (mutated(modern, dice), "a.safetensors") if number % 2 else (mutated(old, dice), "a.ckpt")
        report = scan(io.BytesIO(data), name=name)
        assert "F-INTERNAL" not in {finding.code for finding in report.findings}, data
        if report.verdict == "success" and report.kind == "safetensors":
            assert set(safetensors.torch.load(data)) == {entry.path[0] for entry in report.directory or ()}
