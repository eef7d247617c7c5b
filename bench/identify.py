"""`python -m bench.identify`: how long it takes to say what a file is, beside parsing the same header as JSON. Names and shapes only.

Headers are the fixtures of the tests, from SDXL's 2,500 tensors up to 3,000; the reading of a safetensors header is timed as well.
"""

from __future__ import annotations

import json
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path

from bench.ground import report
from registry.formats.dtypes import SIZES
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from registry.identify.detect import identify
from tests.registry.identify.cases import CASES
from tests.registry.identify.tables import Keys

ROUNDS = 15
TENSORS = 3000


def header_of(keys: Keys) -> bytes:
    """The JSON header that a safetensors file of these tensors has."""
    at, entries = 0, {}
    for name, (dtype, shape) in keys.items():
        size = prod(shape) * SIZES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return json.dumps(entries).encode()


def sparse(path: Path, keys: Keys) -> Path:
    """A file with that header and a hole for the data."""
    header = header_of(keys)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + sum(prod(shape) * SIZES[dtype] for dtype, shape in keys.values()))
    return path


def times(work: Callable[[], object]) -> list[float]:
    """Milliseconds of each round."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1000)
    return found


def main() -> None:
    sdxl = CASES["SDXL"].build()
    padded = sdxl | {f"extra.{number}.weight": ("F16", (8, 8)) for number in range(TENSORS - len(sdxl))}
    lora = dict(list(CASES["LoRA SDXL"].build().items())[:TENSORS])
    with tempfile.TemporaryDirectory() as folder:
        for name, keys in (("checkpoint", padded), ("LoRA", lora)):
            header = header_of(keys)
            with open(sparse(Path(folder) / "a.safetensors", keys), "rb") as file:
                window = Window(file.fileno())
                directory = read_safetensors(window)
                reading = times(partial(read_safetensors, window))
            print(f"--- {name}: {len(keys)} tensors, header of {len(header):,} bytes")
            ours, parsing = times(partial(identify, directory)), times(partial(json.loads, header))
            report("identify", ours, parsing, "json.loads", "ms")
            print(f"strict reading of the header: {statistics.median(reading):.1f} ms")


if __name__ == "__main__":
    main()
