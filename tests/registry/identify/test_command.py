"""The command line: what it prints for people and for programs, and the codes that it ends with."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry.formats.directory import TensorDirectory
from registry.identify.__main__ import main
from tests import tiny
from tests.registry.identify.cases import CASES


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def written(path: Path, name: str) -> Path:
    directory: TensorDirectory = tiny.directory_of(CASES[name].build())
    path.write_text(json.dumps(directory.to_json()))
    return path


def test_people_get_lines_with_the_answer_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny.lora_safetensors(tmp_path / "a.safetensors")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Kind:          LoRA"
    assert lines[1] == "Base model:    SD 1.5 (family SD 1.x)"
    assert any(line.startswith("Trigger words:") and "paper lantern (40)" in line for line in lines)
    assert any(line.startswith("Evidence:") for line in lines)


def test_programs_get_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny.plain_checkpoint(tmp_path / "a.safetensors"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["base_model"], found["precision"]) == ("checkpoint", "SD 1.5", "fp32")


def test_pickles_are_answered_through_the_scanners_report(tmp_path: Path) -> None:
    pickled = tiny.lightning_checkpoint(tmp_path / "a.ckpt")
    scanned = subprocess.run(
        [sys.executable, "-m", "scanner.pickles", str(pickled), "--json", "--tensors", "--no-sandbox"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    answer = subprocess.run(
        [sys.executable, "-m", "registry.identify", "--directory", "-", "--json"],
        input=scanned.stdout,
        capture_output=True,
        check=True,
        timeout=60,
    )
    found = json.loads(answer.stdout)
    assert (found["kind"], found["family"], found["has_ema"], found["has_training_state"]) == ("checkpoint", "SD 1.x", True, True)


def test_pickle_itself_is_not_opened_and_the_sentence_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny.embedding_pt(tmp_path / "e.pt")) == 1
    said = capsys.readouterr().err
    assert said.startswith("identify:kind")
    assert "python -m scanner.pickles FILE --json --tensors" in said


@pytest.mark.parametrize(
    ("addon", "checkpoint", "code"), [("LoRA SD 1", "SD 1", 0), ("LoRA SDXL", "SD 1", 3), ("Real-ESRGAN", "SD 1", 4), ("VAE", "SD 1", 0)]
)
def test_fitting_ends_with_its_own_code(tmp_path: Path, capsys: pytest.CaptureFixture[str], addon: str, checkpoint: str, code: int) -> None:
    small, whole = written(tmp_path / "a.json", addon), written(tmp_path / "b.json", checkpoint)
    assert run("--directory", small, "--fits", whole) == code
    assert capsys.readouterr().out.splitlines()[0].endswith(".")
    assert run(small, "--fits", whole, "--json") == code
    assert set(json.loads(capsys.readouterr().out)) >= {"fits", "share", "misses"}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "nonsense", '{"tensors": 3}', '{"tensors": [3]}',
        '{"tensors": [[["a"], "F99", [1]]]}', '{"tensors": [[[], "F32", [1]]]}',
        '{"tensors": [[["a"], "F32", [-1]]]}', '{"tensors": [[["a"], "F32", [true]]]}', '{"tensors": [[["a"], "F32", "x"]]}',
        '{"tensors": [[[["a"]], "F32", [1]]]}', '{"tensors": [], "metadata": {"a": 1}}', '{"directory": {"tensors": null}}', "[" * 100_000,
    ],
)  # fmt: skip
def test_broken_directories_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert run("--directory", tmp_path / "a.json") == 1
    assert capsys.readouterr().err.startswith("identify:directory")


def test_files_that_are_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(60))
    (tmp_path / "empty").write_bytes(b"")
    assert [run(tmp_path / "a.gguf"), run(tmp_path / "empty"), run(tmp_path), run(tmp_path / "nowhere")] == [1, 1, 1, 1]
    said = capsys.readouterr().err.splitlines()
    assert "GGUF" in said[0]
    assert "cannot be opened" in said[3]


def test_wrong_arguments_end_with_two() -> None:
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2


def test_terminal_is_not_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = tiny.lora_safetensors(
        tmp_path / "a.safetensors", metadata={"modelspec.title": "x\x1b[2J\u202e", "ss_training_comment": "a\nb\x07"}
    )
    assert run(nasty) == 0
    out = capsys.readouterr().out
    assert not {"\x1b", "\u202e", "\x07"} & set(out)


def test_directory_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given = json.dumps(tiny.directory_of(CASES["Flux dev"].build()).to_json()).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert run("--directory", "-") == 0
    assert "Flux.1 D" in capsys.readouterr().out
