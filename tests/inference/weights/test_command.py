"""`python -m inference.weights convert`: any kind of file into safetensors behind locks, refusals in sentences, nothing half-done."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from registry.formats.hashes import hash_file
from tests import tiny
from tests.attacks import os_system_checkpoint
from tests.attacks.writers import old_checkpoint
from tests.inference.weights.sources import numbers
from tests.processes import wait_until
from tests.registry.sandbox.machine import on_linux

pytestmark = on_linux
ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "inference.weights", "convert"]


def run(*arguments: Any, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **how)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tiny.lightning_checkpoint(tmp_path / "a.ckpt")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def legacy(path: Path) -> Path:
    torch.save({"state_dict": {"a.weight": torch.ones(4, 3)}}, path, _use_new_zipfile_serialization=False)
    return path


def tar(path: Path) -> Path:
    path.write_bytes(old_checkpoint())
    return path


def embedding(path: Path) -> Path:
    torch.save({"string_to_param": {"*": torch.ones(2, 768)}, "name": "thing", "step": 5}, path)
    return path


def hypernetwork(path: Path) -> Path:
    torch.save({320: ({"linear.0.weight": torch.ones(4, 4)}, {"linear.0.weight": torch.zeros(4, 4)}), "layer_structure": [1, 2, 1]}, path)
    return path


def safetensors(path: Path) -> Path:
    save_file({"a.weight": torch.ones(4, 3)}, path)
    return path


@pytest.mark.parametrize(
    ("name", "write", "tensors"),
    [("a.ckpt", legacy, 1), ("a.ckpt", tar, 1), ("a.pt", embedding, 1), ("h.pt", hypernetwork, 2), ("a.safetensors", safetensors, 1)],
)
def test_every_kind_that_the_scanner_understands_is_converted(
    name: str, write: Callable[[Path], Path], tensors: int, tmp_path: Path, out: Path
) -> None:
    done = run(write(tmp_path / name), out / "o.safetensors")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tensors} tensors, ")
    assert len(load_file(out / "o.safetensors")) == tensors


def test_several_variants_in_one_go(source: Path, out: Path) -> None:
    done = run(
        source, out / "full", "--variant", "keep=weights,precision=fp16", out / "half", "--variant", "keep=ema", out / "ema", "--json"
    )
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert [report["recipe"] for report in reports] == [
        {"keep": "all", "precision": "keep"},
        {"keep": "weights", "precision": "fp16"},
        {"keep": "ema", "precision": "keep"},
    ]
    assert [report["hashes"]["SHA256"].lower() for report in reports] == [hash_file(out / name).sha256 for name in ("full", "half", "ema")]


def test_the_source_is_named_in_the_metadata_unless_it_shall_be_plain(source: Path, out: Path) -> None:
    run(source, out / "told")
    run(source, out / "plain", "--plain")
    assert hash_file(source).sha256.encode() in (out / "told").read_bytes()
    assert b'{"__metadata__":{"format":"pt"}' in (out / "plain").read_bytes()[:200]


def test_overflow_is_warned_of_and_the_file_is_made(tmp_path: Path, out: Path) -> None:
    save_file({"a.weight": torch.tensor([1.0, 70000.0])}, tmp_path / "a.safetensors")
    done = run(tmp_path / "a.safetensors", out / "o", "--precision", "fp16")
    assert done.returncode == 0
    assert "became infinite" in done.stderr
    assert load_file(out / "o")["a.weight"].isinf().tolist() == [False, True]


def test_each_of_several_variants_is_named_in_what_is_said_of_it(tmp_path: Path, out: Path) -> None:
    save_file({"a.weight": torch.tensor([1.0, 70000.0])}, tmp_path / "a.safetensors")
    variants = ["--variant", "precision=fp16", out / "half", "--variant", "keep=ema", out / "ema"]
    done = run(tmp_path / "a.safetensors", *variants)
    assert done.returncode == 1
    assert f"{out / 'half'}: 1 value in 1 tensor became infinite" in done.stderr
    assert f"{out / 'ema'}: weights:no-ema: " in done.stderr
    assert [path.name for path in out.iterdir()] == ["half"]


def test_what_was_left_out_of_the_metadata_is_said_once(tmp_path: Path, out: Path) -> None:
    save_file({"a.weight": torch.ones(3)}, tmp_path / "a.safetensors", metadata={"sshs_model_hash": "ab" * 32})
    done = run(tmp_path / "a.safetensors", out / "o", "--precision", "fp16")
    assert done.stdout.count("(sshs_model_hash)") == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("weights", "sentence"),
        [
            (torch.ones(3), "weights:unnamed: This file is one tensor without a name."),
            ({"a": torch.ones(3), "c": torch.ones(2, dtype=torch.complex128)}, "safetensors cannot hold: ComplexDouble [2]."),
        ],
        ids=["a tensor alone", "a type that safetensors lacks"],
    )
    def test_what_would_be_lost_is_refused(self, weights: Any, sentence: str, tmp_path: Path, out: Path) -> None:
        torch.save(weights, tmp_path / "a.pt")
        done = run(tmp_path / "a.pt", out / "o")
        assert done.returncode == 1
        assert sentence in done.stderr
        assert not list(out.iterdir())

    @pytest.mark.parametrize(
        ("name", "data", "sentence"),
        [
            ("a.ckpt", os_system_checkpoint(), "os.system"),
            ("a.ckpt", b"not weights at all", "weights:unreadable"),
            ("a.safetensors", b"\xff" * 100, "weights:unreadable"),
            ("empty.ckpt", b"", "weights:unreadable"),
        ],
    )
    def test_a_bad_file_gets_a_sentence(self, name: str, data: bytes, sentence: str, tmp_path: Path, out: Path) -> None:
        (tmp_path / name).write_bytes(data)
        done = run(tmp_path / name, out / "o")
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
        assert os.listdir(out) == []

    def test_a_damaged_file_gets_a_sentence(self, source: Path, out: Path) -> None:
        directory = tiny.read_directory(source)
        data = bytearray(source.read_bytes())
        data[max(directory.storages, key=lambda storage: storage.size).start] ^= 4
        source.write_bytes(data)
        done = run(source, out / "o")
        assert done.returncode == 1
        assert done.stderr.startswith("weights:crc-mismatch: ")
        assert os.listdir(out) == []

    def test_what_is_not_there_gets_a_sentence(self, source: Path, out: Path) -> None:
        for given in [(out / "nothing.ckpt", out / "o"), (source, out / "no folder" / "o")]:
            done = run(*given)
            assert (done.returncode, "No such file" in done.stderr, "Traceback" in done.stderr) == (1, True, False)

    def test_nothing_is_replaced_unless_it_is_said(self, source: Path, out: Path) -> None:
        (out / "o").write_bytes(b"dear to somebody")
        refused = run(source, out / "o")
        assert (refused.returncode, "--force" in refused.stderr) == (2, True)
        assert (out / "o").read_bytes() == b"dear to somebody"
        assert run(source, out / "o", "--force").returncode == 0
        assert len(load_file(out / "o")) > 1000

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ([], "which file to make"),
            (["{out}"], "is a folder"),
            (["{out}/o", "--variant", "keep=weights", "{out}/../out/o"], "same name"),
            (["--variant", "size=small", "{out}/o"], "is no variant"),
            (["--variant", "precision=fp8", "{out}/o"], "is no variant"),
        ],
    )
    def test_a_wrong_command_is_told(self, arguments: list[str], sentence: str, source: Path, out: Path) -> None:
        done = run(source, *(argument.format(out=out) for argument in arguments))
        assert (done.returncode, sentence in done.stderr) == (2, True)
        assert os.listdir(out) == []

    def test_one_variant_that_cannot_be_is_told_and_the_other_made(self, tmp_path: Path, out: Path) -> None:
        safetensors(tmp_path / "a.safetensors")
        done = run(tmp_path / "a.safetensors", out / "o", "--variant", "keep=ema", out / "ema")
        assert done.returncode == 1
        assert "weights:no-ema" in done.stderr
        assert os.listdir(out) == ["o"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_leaves_nothing_behind(number: signal.Signals, code: int, tmp_path: Path, out: Path) -> None:
    numbers(tmp_path / "n.safetensors", tensors=4, mib=100)
    process = subprocess.Popen(
        [*COMMAND, tmp_path / "n.safetensors", out / "o", "--precision", "fp16"], cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        wait_until(lambda: any(path.stat().st_size for path in out.iterdir()), 60, 0.01)
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == code, said
    assert b"Traceback" not in said
    assert os.listdir(out) == []


def test_progress_is_shown_on_a_terminal(tmp_path: Path, out: Path) -> None:
    numbers(tmp_path / "n.safetensors", tensors=2)
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, tmp_path / "n.safetensors", out / "o"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=follower
    ) as process:
        os.close(follower)
        seen = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                seen += os.read(leader, 4096)
            except OSError:
                break
    os.close(leader)
    assert process.returncode == 0
    assert b" %  " in seen
    assert b"GB" in seen
