"""All hashes of a stored file in one read, against `openssl dgst -sha256` of the same file and against one read for each hash.

`python -m bench.hashes [--size-gb 2] [--rounds 3]`: writes a file that no hash can tell from a pickle and a safetensors file with the
names and shapes of SD 1.5, and measures each command as a process of its own, start included, in turns, from the page cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from samples.layout import sd1

TARGETS = {"pickle": 1.3, "safetensors": 1.8}
POOL = 4 << 20
READ = 1 << 20


@dataclass(frozen=True)
class Taken:
    """What one command took: seconds of the clock and of processors, and the most memory in MB."""

    wall: float
    cpu: float
    rss: float


def main() -> None:
    options = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    options.add_argument("--size-gb", type=float, default=2.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=["AutoV3", "BLAKE3", "CRC32"], help=argparse.SUPPRESS)
    options.add_argument("file", nargs="?", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.only:
        print(one_hash(chosen.only, chosen.file))
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("WEIGH_DATA")) as folder:
        for kind, path in written(Path(folder), int(chosen.size_gb * 1e9)):
            compare(kind, path, chosen.rounds)


def written(folder: Path, size: int) -> Iterator[tuple[str, Path]]:
    """The two files, of about `size` bytes, each there only while it is measured."""
    rows = list(layout(size))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in rows:
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + 2 * prod(shape)]}
        at += 2 * prod(shape)
    text = json.dumps(header).encode()
    for kind, head in (("pickle", b"PK\x03\x04"), ("safetensors", len(text).to_bytes(8, "little") + text)):
        path = folder / f"bench.{kind}"
        with path.open("wb") as target:
            target.write(head)
            fill(target, at)
        yield kind, path
        path.unlink()


def layout(size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of SD 1.5 until their fp16 bytes reach `size`, the model over and over where that is more."""
    for copy in range(1000):
        for name, shape in sd1().items():
            size -= 2 * prod(shape)
            if size < 0:
                return
            yield (f"{name}.{copy}" if copy else name), shape


def fill(target: BinaryIO, size: int) -> None:
    pool = os.urandom(POOL)
    for at in range(0, size, POOL):
        target.write(memoryview(pool)[: size - at])


def compare(kind: str, path: Path, rounds: int) -> None:
    """Measure in turns and print medians, ratios last."""
    this = [sys.executable, "-m", "bench.hashes"]
    openssl = ["openssl", "dgst", "-sha256", str(path)]
    commands = {
        "ours": [[sys.executable, "-m", "registry.formats.hashes", str(path)]],
        "openssl": [openssl],
        "one read for each": [openssl, *([*this, "--only", name, str(path)] for name in ("AutoV3", "BLAKE3", "CRC32"))],
    }
    for line in commands["one read for each"]:
        timed(line)  # the file into the page cache, the programs too
    found: dict[str, list[Taken]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, lines in commands.items():
            parts = [timed(line) for line in lines]
            found[name].append(Taken(sum(p.wall for p in parts), sum(p.cpu for p in parts), max(p.rss for p in parts)))
    size = path.stat().st_size
    print(f"\n{kind}, {size:,} bytes, medians of {rounds}")
    for name, taken in found.items():
        walls = [one.wall for one in taken]
        print(
            f"  {name:<18} {statistics.median(walls):6.2f} s ({min(walls):.2f} to {max(walls):.2f})"
            f"  {statistics.median(one.cpu for one in taken):6.2f} CPU s  {max(one.rss for one in taken):5.0f} MB"
        )
    for other, limit in (("openssl", TARGETS[kind]), ("one read for each", None)):
        wall = statistics.median(one.wall for one in found["ours"]) / statistics.median(one.wall for one in found[other])
        cpu = statistics.median(one.cpu for one in found["ours"]) / statistics.median(one.cpu for one in found[other])
        print(f"  ratio ours / {other}: {wall:.2f}x wall, {cpu:.2f}x CPU" + (f" (target {limit}x wall)" if limit else ""), flush=True)


def timed(command: list[str]) -> Taken:
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Taken(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


def one_hash(name: str, file: str) -> str:
    """The usual way: a loop over the file for this hash alone, by the library that Python programs take for it."""
    from blake3 import blake3  # not at the top: children begin with the bench's memory, and it is measured

    crc, data, blake = 0, hashlib.sha256(), blake3()
    with open(file, "rb", buffering=0) as source:
        if name == "AutoV3":
            source.seek(min(int.from_bytes(source.read(8), "little"), os.path.getsize(file) - 8) + 8)
        buffer = bytearray(READ)
        while got := source.readinto(buffer):
            view = memoryview(buffer)[:got]
            if name == "AutoV3":
                data.update(view)
            elif name == "BLAKE3":
                blake.update(view)
            else:
                crc = zlib.crc32(view, crc)
    return {"AutoV3": data.hexdigest(), "BLAKE3": blake.hexdigest(), "CRC32": f"{crc:08X}"}[name]


if __name__ == "__main__":
    main()
