"""Several outputs in one pass: each the bytes that it would have alone, whatever the order, the way to the disk, or who casts."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.weights import kernels
from inference.weights.cast import Losses
from inference.weights.convert import Output, cast_bytes, convert, convert_many, write_outputs
from inference.weights.newfile import NewFile
from inference.weights.recipe import Recipe
from registry.formats.errors import FormatError
from tests import tiny

PLAIN = {"format": "pt"}
RECIPES = [Recipe(), Recipe("weights"), Recipe("weights", "fp16"), Recipe("weights", "bf16"), Recipe("ema", "fp16"), Recipe("all", "fp32")]


class Counting:
    """Reads a file by offset, as a stored object is read, and counts the bytes asked for by their place."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        self.size = len(self._data)
        self.asked: list[tuple[int, int]] = []

    def read_into(self, offset: int, view: memoryview) -> None:
        self.asked.append((offset, len(view)))
        view[:] = self._data[offset : offset + len(view)]

    @property
    def total(self) -> int:
        return sum(size for _, size in self.asked)


def mixed_checkpoint(path: Path) -> Path:
    """Types and names in an order that no output has: its halves sort behind its singles, its ids are floats, one name is another's."""
    dice = torch.Generator().manual_seed(5)
    state = {
        f"model.diffusion_model.{number:02d}.weight": torch.randn(40, 30, generator=dice).to([torch.float32, torch.float16][number % 2])
        for number in range(12)
    }
    averages = {
        f"model_ema.diffusion_model{number:02d}weight": state[f"model.diffusion_model.{number:02d}.weight"] * 2 for number in range(12)
    }
    state |= averages | {"model_ema.decay": torch.tensor(0.9999), "cond_stage_model.embeddings.position_ids": torch.arange(77.0)[None]}
    state |= {"tied": state["model.diffusion_model.03.weight"], "flag": torch.tensor([True]), "f8": torch.ones(8).to(torch.float8_e4m3fn)}
    state |= {
        "complex": torch.ones(3, dtype=torch.complex64),
        "transposed": torch.randn(50, 20, generator=dice).t(),
        "none": torch.zeros(0, 3),
    }
    state |= {"double": torch.randn(300, generator=dice).double(), "brain": torch.randn(300, generator=dice).bfloat16()}
    torch.save({"state_dict": state}, path)
    return path


@pytest.fixture(params=["lightning", "mixed"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    build = tiny.lightning_checkpoint if request.param == "lightning" else mixed_checkpoint
    return build(tmp_path / "a.ckpt")


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_each_output_is_what_it_would_be_alone(tmp_path: Path, source: Path, order: int) -> None:
    directory = tiny.read_directory(source)
    recipes = RECIPES[::order]
    together = convert_many(source, directory, [(recipe, tmp_path / f"many{at}", None) for at, recipe in enumerate(recipes)])
    for at, (recipe, outcome) in enumerate(zip(recipes, together, strict=True)):
        alone = convert(source, directory, tmp_path / "one", recipe)
        assert (tmp_path / f"many{at}").read_bytes() == (tmp_path / "one").read_bytes(), recipe
        alone.seconds = outcome.seconds = 0
        assert outcome == alone


def test_a_tensor_that_outputs_want_at_once_is_read_once(tmp_path: Path) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt", ema=False, optimizer=False)
    directory = tiny.read_directory(source)
    reader = Counting(source)
    recipes = [Recipe(), Recipe("weights", "fp16"), Recipe("weights", "bf16")]
    outcomes = convert_many(reader, directory, [(recipe, tmp_path / recipe.precision, PLAIN) for recipe in recipes])
    assert reader.total == sum(entry.nbytes for entry in directory.tensors)
    assert len(set(reader.asked)) == len(reader.asked)
    assert [outcome.crc_checked for outcome in outcomes] == [len(directory.storages)] * 3


def test_averages_are_read_again_only_for_the_output_that_renames_them(tmp_path: Path) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt", optimizer=False)
    directory = tiny.read_directory(source)
    reader = Counting(source)
    convert_many(reader, directory, [(recipe, tmp_path / recipe.keep, PLAIN) for recipe in (Recipe(), Recipe("weights"), Recipe("ema"))])
    averages = sum(entry.nbytes for entry in directory.tensors if entry.path[1].startswith("model_ema.diffusion_model"))
    assert reader.total == sum(entry.nbytes for entry in directory.tensors) + averages


@pytest.mark.parametrize("recipe", [Recipe(), Recipe("weights", "fp16"), Recipe("weights", "bf16")], ids=["twin", "fp16", "bf16"])
def test_the_bytes_do_not_depend_on_who_casts_nor_on_the_way_to_the_disk(
    tmp_path: Path, source: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, made = tiny.read_directory(source), []
    for kernel in (kernels.NumpyKernel, kernels.TorchKernel):
        monkeypatch.setattr(kernels, "choose", lambda _, kernel=kernel: kernel())
        for direct in (True, False):
            with NewFile(tmp_path / "out") as new:
                output = Output(recipe, PLAIN, new.fd, new.direct_fd if direct else None)
                outcome = write_outputs(source, directory, [output], hashes=direct)[0]
                new.publish()
            outcome.seconds, outcome.hashes = 0, None
            made.append(((tmp_path / "out").read_bytes(), outcome))
    assert all(one == made[0] for one in made)


def test_every_kind_of_source_gives_the_same_file(tmp_path: Path, source: Path) -> None:
    directory, found = tiny.read_directory(source), set()
    with open(source, "rb") as file, open(source, "rb", buffering=0) as raw, open(source, "rb") as shared:
        for kind in (source, str(source), file, raw, shared.fileno(), io.BytesIO(source.read_bytes()), Counting(source)):
            convert(kind, directory, tmp_path / "out", Recipe("weights", "fp16"))
            found.add((tmp_path / "out").read_bytes())
        assert os.lseek(shared.fileno(), 0, os.SEEK_CUR) == 0
    assert len(found) == 1


def test_nothing_is_opened_by_the_part_that_runs_locked_in(tmp_path: Path, source: Path) -> None:
    directory = tiny.read_directory(source)
    recipes = [Recipe(), Recipe("weights", "fp16")]
    fd = os.open(source, os.O_RDONLY)
    with NewFile(tmp_path / "a") as first, NewFile(tmp_path / "b") as second:
        before = sorted(os.listdir("/proc/self/fd"))
        during: set[str] = set()
        outputs = [Output(recipe, PLAIN, new.fd, new.direct_fd) for recipe, new in zip(recipes, (first, second), strict=True)]
        write_outputs(fd, directory, outputs, progress=lambda *_: during.update(os.listdir("/proc/self/fd")))
        assert during == set(before)
        first.publish()
    os.close(fd)
    assert sorted(os.listdir(tmp_path)) == ["a", "a.ckpt"]
    assert (tmp_path / "a").stat().st_size > 1000


def test_outputs_appear_all_or_none(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.ckpt")
    wanted = [(Recipe(), tmp_path / "b", None), (Recipe("ema"), tmp_path / "c", None)]
    with pytest.raises(FormatError, match="weights:no-ema"):
        convert_many(source, tiny.read_directory(source), wanted)
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_no_outputs_are_no_work(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.ckpt")
    assert convert_many(source, tiny.read_directory(source), []) == []


def test_only_real_numbers_of_full_width_are_cast(tmp_path: Path) -> None:
    source = mixed_checkpoint(tmp_path / "a.ckpt")
    convert(source, tiny.read_directory(source), tmp_path / "b", Recipe("weights", "fp16"))
    before, after = torch.load(source, weights_only=True)["state_dict"], load_file(tmp_path / "b")
    for name in ("complex", "flag"):
        assert torch.equal(after[name], before[name])
    assert after["f8"].dtype == torch.float8_e4m3fn
    assert after["none"].shape == (0, 3)
    assert {after[name].dtype for name in ("double", "brain", "transposed", "none")} == {torch.float16}
    assert torch.equal(after["transposed"], before["transposed"].half())
    assert after["double"].numpy().tobytes() == before["double"].numpy().astype(np.float16).tobytes()
    assert after["cond_stage_model.embeddings.position_ids"].dtype == torch.int64


def test_what_the_cast_did_is_what_a_comparison_of_all_values_finds(tmp_path: Path) -> None:
    dice = torch.Generator().manual_seed(1)
    state = {f"t{at}": torch.randn(300, 400, generator=dice) * 10.0 ** (5 - 3 * at) for at in range(5)} | {"same": torch.ones(9)}
    state["t1"][5, 5], state["t1"][6, 6], state["t1"][7, 7] = float("nan"), float("inf"), 0.0
    save_file(state, tmp_path / "a.safetensors")
    outcome = convert(tmp_path / "a.safetensors", tiny.read_directory(tmp_path / "a.safetensors"), tmp_path / "b", Recipe("all", "fp16"))
    exact, back = ({name: tensor.double() for name, tensor in found.items()} for found in (state, load_file(tmp_path / "b")))
    errors = {name: (exact[name] - back[name]).abs() for name in state}
    largest = {name: float(error[torch.isfinite(error)].max()) for name, error in errors.items()}
    comparison = outcome.comparison
    assert (comparison.max_abs_error, comparison.worst) == max((error, name) for name, error in largest.items())
    assert (comparison.equal, comparison.rounded, comparison.nan_kept, comparison.reread) == (1, 5, 1, True)
    for name in state:
        losses = outcome.lossy.get(name, Losses())
        assert losses.overflow == int((torch.isfinite(exact[name]) & torch.isinf(back[name])).sum())
        assert losses.underflow == int(((back[name] == 0) & (exact[name] != 0)).sum())
        assert losses.nonfinite == int((~torch.isfinite(exact[name])).sum())
    assert {"t0", "t1", "t4"} <= set(outcome.lossy)


def test_hashes_and_reading_back_can_be_left_out(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.ckpt")
    directory, seen = tiny.read_directory(source), []
    outcome = convert(source, directory, tmp_path / "b", Recipe(), hashes=False, check=False, progress=lambda *step: seen.append(step))
    assert (outcome.hashes, outcome.to_json()["hashes"], outcome.comparison.reread) == (None, {}, False)
    assert seen[-1] == (sum(tensor.nbytes for tensor in load_file(tmp_path / "b").values()),) * 2


def test_what_will_be_cast_is_counted_once_for_each_precision_of_the_same_tensors(tmp_path: Path) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt")
    directory = tiny.read_directory(source)
    state = {name: tensor for name, tensor in torch.load(source, weights_only=True)["state_dict"].items() if tensor.is_floating_point()}
    everything = sum(tensor.nbytes for tensor in state.values())
    weights = sum(tensor.nbytes for name, tensor in state.items() if not name.startswith("model_ema."))
    assert cast_bytes(directory, [Recipe(), Recipe("weights"), Recipe("all", "fp32")]) == 0
    assert cast_bytes(directory, [Recipe("all", "fp16"), Recipe("all", "fp16")]) == everything
    assert cast_bytes(directory, [Recipe("weights", "fp16"), Recipe("ema", "fp16"), Recipe("weights", "bf16")]) == 3 * weights
