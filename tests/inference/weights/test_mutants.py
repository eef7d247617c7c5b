"""Damaged files: conversion makes a file that reads back, or refuses with a sentence; nothing runs, nothing takes long, nothing is left.

`python -m bench.mutants --seed N` tries 10,000 others, and prints how they end.
"""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

from inference.weights.recipe import Recipe
from tests.inference.weights import mutants


def test_ten_thousand_mutants_convert_or_are_refused() -> None:
    with mutants.quick_folder() as folder:
        tally = mutants.run(10_000, folder, seed=1)
    assert tally.faults == []
    assert len(tally.endings) >= 5, tally.endings
    assert tally.endings["converted"] >= 20, tally.endings


def test_a_turned_bit_in_a_tensor_of_a_zip_is_reported(tmp_path: Path) -> None:
    """torch.load does not look at the checksums that it writes; the converter does."""
    data = mutants.seeds()["zip.ckpt"]
    endings = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        spans = [start_of(member, data) for member in archive.infolist() if "/data/" in member.filename and member.file_size]
    dice = random.Random(5)
    for start, size in spans:
        for _ in range(4):
            wounded = bytearray(data)
            at = start + dice.randrange(size)
            wounded[at] ^= 1 << dice.randrange(8)
            endings[at] = mutants.try_one("zip.ckpt", bytes(wounded), Recipe(), tmp_path)
    kept = {at: ending for at, ending in endings.items() if ending == "converted"}
    training = [at for at in kept if endings[at] == "converted"]
    assert len(endings) > 20
    assert set(endings.values()) <= {"refused: weights:crc-mismatch", "converted"}
    assert len(training) <= 4, "only what is not converted (optimizer state) may be damaged unseen"


def start_of(member: zipfile.ZipInfo, data: bytes) -> tuple[int, int]:
    """(offset, size) of a stored member's bytes."""
    head = member.header_offset
    name, extra = int.from_bytes(data[head + 26 : head + 28], "little"), int.from_bytes(data[head + 28 : head + 30], "little")
    return head + 30 + name + extra, member.file_size


def test_a_hostile_pickle_among_the_mutants_would_be_heard(tmp_path: Path) -> None:
    """The ear of these tests works: it hears what unpickling raises."""
    import pickle

    with mutants.overheard() as heard:
        pickle.loads(pickle.dumps(mutants.Tally))
    assert any("pickle.find_class" in what for what in heard)
