"""Merges in the locked child and from the command line: the same bytes, and nothing at the target where something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inference.weights.merging.locked import merge_locked
from inference.weights.merging.recipe import MergeRecipe, Origin
from registry.formats.errors import FormatError
from registry.formats.hashes import hash_file
from registry.sandbox.parent import Cancelled
from tests.inference.weights.merging import a1111
from tests.inference.weights.merging.models import State, given, merged, model

ROOT = Path(__file__).resolve().parents[4]


def files(folder: Path, **states: State) -> dict[str, Path]:
    return {role: Path(str(given(folder / f"{role}.in", state).source)) for role, state in states.items()}


class Far:
    """A reader with no descriptor, as of an object in another store."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.size = len(self.data)

    def read_into(self, offset: int, view: memoryview) -> None:
        view[:] = self.data[offset : offset + len(view)]


@pytest.mark.parametrize("reach", [Path, Far], ids=["files", "ranges"])
def test_the_child_gives_the_bytes_of_the_formula(tmp_path: Path, reach: Callable[[Path], Path | Far]) -> None:
    a, b = model(1), model(2)
    sources = {role: reach(path) for role, path in files(tmp_path, a=a, b=b).items()}
    told: list[tuple[int, int]] = []
    recipe = MergeRecipe(multiplier=0.3, metadata="plain")
    made = merge_locked(sources, recipe, tmp_path / "out", progress=lambda done, total: told.append((done, total)))
    assert (tmp_path / "out").read_bytes() == a1111.written(a1111.merge(a, b, m=0.3))
    assert made.hashes == hash_file(tmp_path / "out")
    assert made.report["recipe"] == recipe.to_json()
    assert made.report["maths"] == "numpy"
    assert "seccomp" in made.sandbox
    assert told


def test_everything_at_once_is_the_same_in_the_child(tmp_path: Path) -> None:
    from tests.inference.weights.merging.test_lora import CONV, lora_of

    lora, _ = lora_of(CONV[0], model(1)[CONV[1]].shape)
    states = {"a": model(1), "b": model(2), "vae": model(9), "lora0": lora}
    recipe = MergeRecipe(method="slerp", vae=True, loras=(0.5,), blocks=(0.2,) * 26, discard="^betas", precision="fp16")
    wanted, _ = merged(tmp_path, states, **recipe.to_json())
    merge_locked(files(tmp_path, **states), recipe, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == wanted


def test_what_torch_merges_is_the_same(tmp_path: Path) -> None:
    import torch

    a, b = model(1, torch.float16), model(2, torch.float16)
    made = merge_locked(files(tmp_path, a=a, b=b), MergeRecipe(metadata="plain"), tmp_path / "out", small_bytes=1 << 40)
    assert made.report["maths"] == "torch"
    assert (tmp_path / "out").read_bytes() == a1111.written(a1111.merge(a, b))


def test_a_refusal_crosses_the_wall_and_leaves_nothing(tmp_path: Path) -> None:
    sources = files(tmp_path, a=model(1), b=model(2, channels=9))
    with pytest.raises(FormatError, match="B is an inpainting model") as caught:
        merge_locked(sources, MergeRecipe(), tmp_path / "out")
    assert caught.value.code == "merge:channels"
    assert {path.name for path in tmp_path.iterdir()} == {"a.in", "b.in"}


def test_a_header_is_read_by_the_child_alone(tmp_path: Path) -> None:
    (tmp_path / "b.in").write_bytes((1 << 40).to_bytes(8, "little") + b"{")
    sources = {**files(tmp_path, a=model(1)), "b": tmp_path / "b.in"}
    with pytest.raises(FormatError) as caught:
        merge_locked(sources, MergeRecipe(), tmp_path / "out")
    assert caught.value.sentence == "Model B is no safetensors file that can be read (S-HEADER-SIZE); convert it first."


def test_a_cancelled_merge_leaves_nothing(tmp_path: Path) -> None:
    sources = files(tmp_path, a=model(1), b=model(2))
    with pytest.raises(Cancelled):
        merge_locked(sources, MergeRecipe(), tmp_path / "out", cancelled=lambda: True)
    assert {path.name for path in tmp_path.iterdir()} == {"a.in", "b.in"}


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}}
    line = [sys.executable, "-m", "inference.weights", "merge", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)


def test_the_command_merges_and_reports(tmp_path: Path) -> None:
    paths = files(tmp_path, a=model(1), b=model(2), c=model(3))
    options = ["--method", "add_difference", "--multiplier", "0.7", "--precision", "fp16", "--merged-only", "--name", "mine", "--json"]
    done = command(*(part for role in "abc" for part in (f"--{role}", paths[role])), *options, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["hashes"] == hash_file(tmp_path / "out").as_dict()
    assert report["counts"]["merged"] == 1130
    wanted = a1111.merge(model(1), model(2), model(3), method="add_difference", m=0.7, half=True)
    found = a1111.read(tmp_path / "out")
    assert all(found[name].equal(tensor) and found[name].dtype == tensor.dtype for name, tensor in wanted.items())
    inputs = {
        role: given(path, origin=Origin(hash_file(path).sha256, path.name, hash_file(path).autov1 or "")) for role, path in paths.items()
    }
    from inference.weights.merging.merge import merge

    merge(inputs, tmp_path / "again", MergeRecipe.from_json(report["recipe"]))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "out").read_bytes()


def test_the_command_bakes_and_tells_in_words(tmp_path: Path) -> None:
    from tests.inference.weights.merging.test_lora import LINEAR, lora_of

    paths = files(tmp_path, a=model(1), vae=model(9), lora=lora_of(LINEAR[0], model(1)[LINEAR[1]].shape)[0])
    options = ["--method", "no_interpolation", "--vae", paths["vae"], "--lora", f"{paths['lora']}:0.5", "--discard", "^nothing", "--plain"]
    done = command("--a", paths["a"], *options, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "baked: 248 tensors" in done.stdout
    assert "LoRA 1: 1 layers baked, 0 not in this model, 0 tensors not understood" in done.stdout


def test_the_command_replaces_a_file_only_when_it_is_told_to(tmp_path: Path) -> None:
    paths = files(tmp_path, a=model(1), b=model(2))
    (tmp_path / "out").write_text("mine")
    line = ["--a", paths["a"], "--b", paths["b"], tmp_path / "out"]
    refused = command(*line)
    assert (refused.returncode, (tmp_path / "out").read_text()) == (2, "mine")
    assert "exists; give another name, or --force to replace it" in refused.stderr
    assert command(*line, "--force").returncode == 0
    assert (tmp_path / "out").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--multiplier", "11"], "merge:recipe: The multiplier must be a number from -10 to 10."),
        (["--discard", "("], "merge:discard: "),
        (["--block-weights", "0.5,0.5"], "merge:recipe: Block weights are 25 values"),
        (["--b", "/nowhere/b.safetensors"], "/nowhere/b.safetensors: No such file or directory"),
        (["--method", "add_difference"], "merge:missing-input: Add difference needs a tertiary model"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, options: list[str], words: str) -> None:
    paths = files(tmp_path, a=model(1), b=model(2))
    done = command("--a", paths["a"], *(["--b", paths["b"]] if "--b" not in options else []), *options, tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith(words)
    assert not (tmp_path / "out").exists()
