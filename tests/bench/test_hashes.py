"""The bench of hashes on small files: it writes what it says, runs all its commands and puts the ratios last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench import hashes
from registry.formats.hashes import hash_file


def test_bench_prints_both_ratios_for_both_kinds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.hashes", "--size-gb", "0.02", "--rounds", "1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    blocks = done.stdout.strip().split("\n\n")
    assert [block.split(",")[0] for block in blocks] == ["pickle", "safetensors"]
    for block in blocks:
        assert [line.strip().split(":")[0] for line in block.splitlines()[-2:]] == [
            "ratio ours / openssl",
            "ratio ours / one read for each",
        ]


def test_each_reads_baseline_computes_the_hash_that_it_is_named_for(tmp_path: Path) -> None:
    for kind, path in hashes.written(tmp_path, 3_000_000):
        found = hash_file(path)
        assert hashes.one_hash("BLAKE3", str(path)) == found.blake3
        assert hashes.one_hash("CRC32", str(path)) == f"{found.crc32:08X}"
        assert (found.data_sha256 is not None, found.content is not None) == (kind == "safetensors",) * 2
        if kind == "safetensors":
            assert hashes.one_hash("AutoV3", str(path)) == found.data_sha256
