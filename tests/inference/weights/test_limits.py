"""Full disks, large files and the command line: conversion in a process of its own, as a worker runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests import tiny

ROOT = Path(__file__).resolve().parents[3]
CONVERT = [sys.executable, "-m", "inference.weights", "convert"]

MEASURE = """
import json, re, sys
from pathlib import Path
from inference.weights.convert import convert
from inference.weights.recipe import Recipe
from registry.formats.directory import TensorDirectory
directory = TensorDirectory.from_json(json.loads(Path(sys.argv[2]).read_text()))
for recipe in (Recipe(), Recipe("weights", "fp16")):
    convert(sys.argv[1], directory, sys.argv[3], recipe)
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]


def test_memory_stays_flat_whatever_the_size(tmp_path: Path) -> None:
    source = tiny.big_checkpoint(tmp_path / "big.ckpt", 0.3)
    (tmp_path / "directory.json").write_text(json.dumps(tiny.read_directory(source).to_json()))
    done = run(sys.executable, "-c", MEASURE, str(source), str(tmp_path / "directory.json"), str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150 * 1024, f"{int(done.stdout) // 1024} MiB"


def test_memory_stays_flat_for_a_large_scattered_tensor(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(4096, 5_000).t(), "b": torch.zeros(3000, 2000)[:, ::2]}, tmp_path / "a.ckpt")
    (tmp_path / "directory.json").write_text(json.dumps(tiny.read_directory(tmp_path / "a.ckpt").to_json()))
    done = run(sys.executable, "-c", MEASURE, str(tmp_path / "a.ckpt"), str(tmp_path / "directory.json"), str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150 * 1024, f"{int(done.stdout) // 1024} MiB"


def test_full_disk_is_an_os_error_and_leaves_nothing(tmp_path: Path) -> None:
    if not shutil.which("unshare") or run("unshare", "-rm", "true").returncode != 0:
        pytest.skip("this machine allows no mount namespace, so no small file system can be made")
    source = tiny.plain_checkpoint(tmp_path / "a.safetensors")
    (tmp_path / "small").mkdir()
    script = f"""
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", {str(tmp_path / "small")!r}], check=True)
from inference.weights.command import read_directory
from inference.weights.convert import convert
from inference.weights.recipe import Recipe
from pathlib import Path
try:
    convert({str(source)!r}, read_directory(Path({str(source)!r})), {str(tmp_path / "small/out")!r}, Recipe())
except OSError as error:
    print(error.errno, os.listdir({str(tmp_path / "small")!r}))
"""
    done = run("unshare", "-rm", sys.executable, "-c", script)
    assert done.stdout.strip() == "28 []", done.stderr


def test_killed_conversion_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.safetensors")
    script = f"""
import os
from inference.weights.command import read_directory
from inference.weights.convert import convert
from inference.weights.recipe import Recipe
from pathlib import Path
source = Path({str(source)!r})
late = lambda done, total: done > total * 0.9 and os.kill(os.getpid(), 9)
convert(source, read_directory(source), {str(tmp_path / "out")!r}, Recipe(), progress=late)
"""
    assert run(sys.executable, "-c", script).returncode == -9
    assert not (tmp_path / "out").exists()


def test_command_converts_a_pickle_by_way_of_the_scanner(tmp_path: Path) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt")
    done = run(*CONVERT, str(source), str(tmp_path / "b.safetensors"), "--keep", "ema", "--precision", "fp16", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tensors"] == len(load_file(tmp_path / "b.safetensors")) == 1131


def test_command_says_in_a_sentence_why_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"not weights at all")
    done = run(*CONVERT, str(tmp_path / "a.ckpt"), str(tmp_path / "b.safetensors"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("weights:unreadable: ")
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_converter_runs_without_torch_and_without_the_scanner() -> None:
    code = "import sys, inference.weights.__main__; print([m for m in ('torch', 'django', 'scanner') if m in sys.modules])"
    assert run(sys.executable, "-c", code).stdout.strip() == "[]"
