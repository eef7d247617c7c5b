"""What the scanner accepts is what the libraries read: damaged arrays, tars and checkpoints without checksums, compared with their own."""

from __future__ import annotations

import io
import random
import tarfile

import numpy as np
import pytest
import torch

from registry.formats.npy import read_npy
from registry.formats.plaintar import read_tar
from registry.formats.strictzip import read_archive
from registry.formats.torchzip import open_torch
from registry.formats.window import Window
from scanner.pickles import scan
from tests.attacks.writers import old_checkpoint
from tests.scanner.honest_kinds import HONEST_KINDS, without_checksums
from tests.scanner.mutants import mutated

SEED = 20261121
pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries warn of some of the damage


def test_arrays_that_are_accepted_are_what_numpy_loads() -> None:
    dice = random.Random(SEED)
    makers = [make for name, make in HONEST_KINDS.values() if name.endswith(".npy")]
    accepted = 0
    for number in range(6000):
        whole = makers[number % len(makers)]()
        data = mutated(whole[:128], dice) + whole[128:]
        if scan(io.BytesIO(data), name="a.npy").verdict != "success":
            continue
        accepted += 1
        header = read_npy(Window(io.BytesIO(data)))
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        assert (loaded.shape, loaded.dtype, loaded.nbytes) == (header.shape, np.dtype(header.descr), header.size)
    assert accepted > 50


def test_tars_that_are_accepted_are_what_tarfile_reads() -> None:
    dice = random.Random(SEED)
    seeds = [old_checkpoint(), HONEST_KINDS["oldest form, as Python writes tars"][1](), HONEST_KINDS["oldest form, old tar"][1]()]
    accepted = 0
    for number in range(4000):
        data = mutated(seeds[number % len(seeds)], dice)
        if scan(io.BytesIO(data), name="model.pt").verdict != "success":
            continue
        accepted += 1
        ours = {file.name: data[file.start : file.start + file.size] for file in read_tar(Window(io.BytesIO(data))).values()}
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            theirs = {member.name: archive.extractfile(member).read() for member in archive.getmembers() if member.isreg()}  # type: ignore[union-attr]
        assert ours == theirs
    assert accepted > 100


def test_checkpoints_without_checksums_are_what_torch_reads() -> None:
    dice = random.Random(SEED)
    whole = without_checksums()
    accepted = 0
    for _ in range(4000):
        data = mutated(whole, dice)
        if scan(io.BytesIO(data), name="a.ckpt").verdict != "success":
            continue
        try:
            theirs = torch._C.PyTorchFileReader(io.BytesIO(data))
        except RuntimeError:  # a version that torch does not know yet: it reads nothing then
            continue
        accepted += 1
        ours = open_torch(read_archive(Window(io.BytesIO(data))))
        assert ours.read_pickle() == theirs.get_record("data.pkl")
        for key, member in ours.storages.items():
            assert data[member.data : member.data + member.size] == theirs.get_record(f"data/{key}")
    assert accepted > 20
