"""Random damage: the scanner never raises, never hangs, and never reads another pickle or another opcode than the loaders do."""

from __future__ import annotations

import io
import random
import time
from collections import Counter

import pytest
import torch

from registry.formats.errors import FormatError
from registry.formats.strictzip import read_archive
from registry.formats.torchzip import open_torch
from registry.formats.window import Window
from scanner.pickles import scan
from tests.attacks.assemble import legacy, pickled, system, torch_parts, torch_zip, zipped
from tests.scanner import loaders
from tests.scanner.honest import lightning, original_textual_inversion, plain_python, saved
from tests.scanner.mutants import SEED, mutated, pickles, program, spliced, zip_damaged

pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns of some of the damage it is shown


def test_zip_mutants_show_torch_no_other_pickle() -> None:
    """Where our reader accepts a damaged archive, torch's own reader gets the same bytes for data.pkl and every storage."""
    dice = random.Random(SEED)
    made = [saved({"a": torch.arange(6.0), "b": torch.zeros(3)}), zipped([*torch_parts(), *torch_parts(pickled(system()), {}, "other")])]
    made.append(torch_zip())
    accepted: Counter[bool] = Counter()
    for number in range(20_000):
        data = made[(0, 2, 0, 1)[number % 4]]
        targeted = number % 2 == 1
        data = zip_damaged(data, dice) if targeted else mutated(data, dice)
        try:
            ours = open_torch(read_archive(Window(io.BytesIO(data))))
            pickle = ours.read_pickle()
        except FormatError:
            continue
        accepted[targeted] += 1
        theirs = torch._C.PyTorchFileReader(io.BytesIO(data))
        assert theirs.get_record("data.pkl") == pickle
        for key, member in ours.storages.items():
            assert theirs.get_record_offset(f"data/{key}") == member.data
    assert min(accepted[False], accepted[True]) > 100


def test_pickle_mutants_never_raise_hang_or_hide_an_opcode() -> None:
    """50,000 damaged pickles. What is accepted, `pickletools` sees the same in, and a real unpickler makes the same of it."""
    dice = random.Random(SEED)
    bodies = pickles()
    verdicts: Counter[str] = Counter()
    slowest = 0.0
    for number in range(50_000):
        body = bodies[number % len(bodies)]
        body = spliced(body, dice.choice(bodies), dice) if number % 3 == 2 else mutated(body, dice, 1 + number % 3)
        started = time.process_time()
        report = scan(io.BytesIO(body), name="a.pkl")
        slowest = max(slowest, time.process_time() - started)
        assert not any(finding.code == "F-INTERNAL" for finding in report.findings), body
        verdicts[report.verdict] += 1
        if report.verdict == "success":
            loaders.assert_same_view(body)
    assert slowest < 1
    assert verdicts["success"] > 1000
    assert verdicts["danger"] > 2000
    assert verdicts["error"] > 2000


def test_random_programs_mean_to_us_what_they_mean_to_python() -> None:
    """Whole pickles of random opcodes: stack, marks, memo and containers do what the real unpickler does with them."""
    dice = random.Random(SEED)
    compared = 0
    for _ in range(8_000):
        body = program(dice)
        report = scan(io.BytesIO(body), name="a.pkl")
        assert "F-INTERNAL" not in {finding.code for finding in report.findings}, body
        if report.verdict in ("success", "suspicious") and {finding.code for finding in report.findings} <= {"P-LEFTOVER", "P-PROTO"}:
            loaders.assert_same_view(body)
            compared += 1
    assert compared > 2000


def test_mutants_of_whole_checkpoints_never_raise() -> None:
    dice = random.Random(SEED)
    seeds = [saved(value) for value in (lightning(), original_textual_inversion(), plain_python())]
    bodies = [open_torch(read_archive(Window(io.BytesIO(data)))).read_pickle() for data in seeds]
    for number in range(800):
        report = scan(io.BytesIO(torch_zip(mutated(bodies[number % len(bodies)], dice))), name="a.ckpt")
        assert "F-INTERNAL" not in {finding.code for finding in report.findings}
    for _ in range(400):
        data = mutated(legacy(), dice)
        report = scan(io.BytesIO(data), name="a.ckpt")
        assert "F-INTERNAL" not in {finding.code for finding in report.findings}, data
