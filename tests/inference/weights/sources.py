"""Sources of weights for tests of whole conversions: larger files, readers that are slow or watched, and a look at children. No tests."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inference.weights.header import header_bytes
from inference.weights.plan import Planned
from registry.formats.directory import TensorDirectory, TensorEntry, row_major
from registry.formats.reader import FileReader
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window


def numbers(path: Path, tensors: int = 16, mib: int = 1) -> TensorDirectory:
    """Writes a safetensors file of float32 tensors of so many MiB each, one MiB over and over; its directory."""
    shape = (mib << 10, 256)
    planned = [
        Planned(f"model.diffusion_model.{at:03}.weight", "F32", TensorEntry(("x",), "F32", shape, 0, 0, row_major(shape)))
        for at in range(tensors)
    ]
    drawn = np.random.default_rng(1).standard_normal(1 << 18, dtype=np.float32)
    with path.open("wb") as file:
        file.write(header_bytes(planned, {"format": "pt"}))
        for at in range(tensors):
            mebibyte = (drawn * np.float32(1 + at / 64)).tobytes()
            file.writelines(mebibyte for _ in range(mib))
    with path.open("rb") as file:
        return read_safetensors(Window(file.fileno()))


class Slow:
    """A `Reader` without a descriptor, so that it is served through pipes: each read takes a while, and can be told of."""

    def __init__(self, fd: int, seconds: float = 0.0) -> None:
        self._file, self.seconds, self.reads = FileReader(fd), seconds, 0
        self.size = self._file.size

    def read_into(self, offset: int, view: memoryview) -> None:
        self.reads += 1
        time.sleep(self.seconds)
        self._file.read_into(offset, view)


def children(word: str = "inference.weights.inside") -> Iterator[int]:
    """Process ids of our own children whose command line has `word` in it."""
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and word in (place / "cmdline").read_text():
                yield int(place.name)
        except OSError:
            continue
