"""Which variants a file can have: decided from its directory, foretold to the byte, and never two with the same tensors."""

from __future__ import annotations

import dataclasses
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.weights.convert import convert
from inference.weights.metadata import derived_metadata
from inference.weights.offers import Choices, choices, possible, worthwhile
from inference.weights.recipe import Recipe, twin_recipe
from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.formats.errors import LimitExceeded
from tests import tiny
from tests.registry.identify.cases import CASES, MODELS
from tests.registry.identify.tables import cast

R = Recipe
ALL = [R(keep, precision) for keep in ("weights", "ema", "all") for precision in ("keep", "fp16", "bf16", "fp32")]


def checkpoint(folder: Path, **options: Any) -> TensorDirectory:
    return tiny.read_directory(tiny.lightning_checkpoint(folder / "a.ckpt", **options))


def of(name: str, dtype: str = "F32", more: dict[str, tuple[str, tuple[int, ...]]] | None = None) -> TensorDirectory:
    """A published layout with all its numbers in one type, and tensors beside them."""
    return tiny.directory_of(cast(CASES[name].build(), dtype) | (more or {}))


def refusals(found: Choices) -> dict[Recipe, str]:
    return {recipe: refusal.code for recipe, refusal in found.refused.items()}


def test_every_recipe_gets_exactly_one_answer(tmp_path: Path) -> None:
    for directory in (checkpoint(tmp_path), checkpoint(tmp_path, ema=False), of("VAE"), of("SD 1", "F8_E4M3")):
        found = choices(directory)
        answers = [offer.recipe for offer in found.offers] + list(found.same) + list(found.refused)
        assert sorted(map(str, answers)) == sorted(map(str, ALL))
        assert not set(found.same.values()) & set(found.refused)


def test_full_precision_with_averages_offers_all_and_makes_two(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path)
    assert worthwhile(directory) == [R("weights", "fp16"), R("ema", "fp16")]
    found = choices(directory)
    assert {offer.recipe for offer in found.offers} == set(ALL) - set(found.same)
    assert found.same == {
        R("all", "keep"): twin_recipe(),
        R("all", "fp32"): twin_recipe(),
        R("weights", "fp32"): R("weights", "keep"),
        R("ema", "fp32"): R("ema", "keep"),
    }
    assert found.refused == {}


def test_averages_of_a_merged_file_are_made_only_when_asked_for(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path)
    assert R("ema", "fp16") in worthwhile(directory)
    merged = dataclasses.replace(directory, metadata={"sd_merge_recipe": "{}"})
    assert worthwhile(merged) == [R("weights", "fp16")]
    (offer,) = [offer for offer in possible(merged) if offer.recipe == R("ema", "fp16")]
    assert "averages may be those of one parent alone" in offer.reason


def test_without_averages_there_is_nothing_but_other_precisions(tmp_path: Path) -> None:
    found = choices(checkpoint(tmp_path, ema=False))
    assert [offer.recipe for offer in found.offers] == [R("weights", "fp16"), R("weights", "bf16")]
    assert found.same[R("weights", "keep")] == twin_recipe()
    assert found.same[R("all", "fp16")] == R("weights", "fp16")
    assert refusals(found) == {R("ema", precision): "weights:no-ema" for precision in ("keep", "fp16", "bf16", "fp32")}


def test_half_precision_is_not_made_of_half_precision(tmp_path: Path) -> None:
    found = choices(checkpoint(tmp_path, ema=False, dtype=torch.float16))
    assert found.offers == []
    assert found.same[R("weights", "fp16")] == twin_recipe()
    assert {refusals(found)[R(keep, p)] for keep in ("weights", "all") for p in ("bf16", "fp32")} == {"variants:no-use"}
    assert "gain not one digit" in found.refused[R("weights", "fp32")].sentence


def test_schedules_in_fp32_make_no_variant_of_an_fp16_file() -> None:
    """A1111's merger halves the weights and leaves the schedule: such a file is fp16, whatever its buffers are."""
    schedule = {"betas": ("F32", (1000,)), "alphas_cumprod": ("F32", (1000,))}
    directory = of("SD 1", "F16", schedule)
    assert worthwhile(directory) == []
    assert choices(directory).same[R("weights", "fp16")] == twin_recipe()


def test_a_few_wide_tensors_are_no_reason_either() -> None:
    directory = of("SD 1", "F16", {"model.diffusion_model.out.2.bias": ("F32", (4,))})
    found = choices(directory)
    assert worthwhile(directory) == []
    assert found.refused[R("weights", "fp16")].sentence.startswith("Most of this file is fp16 already: 8 bytes of ")


def test_bf16_gets_no_fp16_by_itself_but_an_owner_may_ask(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path, ema=False, dtype=torch.bfloat16)
    assert worthwhile(directory) == []
    offers = {offer.recipe: offer for offer in possible(directory)}
    assert set(offers) == {R("weights", "fp16"), R("weights", "fp32")}
    assert "infinite" in offers[R("weights", "fp16")].reason


def test_halves_lose_their_averages(tmp_path: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        assert worthwhile(checkpoint(tmp_path, dtype=dtype)) == [R("weights", "keep"), R("ema", "keep")]


@pytest.mark.parametrize(
    "name", ["VAE", "LoRA SD 1", "LoRA SDXL", "LoHa SD 1", "DoRA SDXL", "ControlNet SD 1", "IP-Adapter SD 1", "AnimateDiff"]
)
def test_parts_are_made_only_when_asked_for(name: str) -> None:
    directory = of(name)
    assert worthwhile(directory) == []
    offers = possible(directory)
    assert [offer.recipe for offer in offers] == [R("weights", "fp16"), R("weights", "bf16")]
    assert {offer.worthwhile for offer in offers} == {False}
    assert "by itself" in offers[0].reason


@pytest.mark.parametrize("name", MODELS)
def test_every_whole_model_in_full_precision_is_halved(name: str) -> None:
    assert worthwhile(of(name)) == [R("weights", "fp16")]


@pytest.mark.parametrize(
    "directory",
    [
        of("SD 1", "F8_E4M3"),
        of("SD 1", more={"scaled_fp8": ("F8_E4M3", (2,))}),
        of("Flux dev", more={"double_blocks.0.img_mod.lin.qweight": ("I8", (8, 8))}),
        of("Flux dev", more={"img_in.weight.quant_state.bitsandbytes__nf4": ("U8", (8,))}),
    ],
)
def test_quantised_files_have_no_variants(directory: TensorDirectory) -> None:
    found = choices(directory)
    assert worthwhile(directory) == found.offers == []
    assert set(refusals(found).values()) == {"variants:quantised"}
    assert found.same == {}


def test_averages_that_are_the_weights_themselves_make_no_variant() -> None:
    """A trainer that saved one tensor under both names: the averages' variant would equal the pruned one."""
    names = {"model.diffusion_model.a": ("F32", (4,)), "model_ema.diffusion_modela": ("F32", (4,))}
    found = choices(tiny.directory_of(names))
    assert found.same[R("ema", "keep")] == R("weights", "keep")
    assert found.same[R("ema", "fp16")] == R("weights", "fp16")


def test_a_file_of_very_many_tensors_is_not_worked_out() -> None:
    directory = of("SD 1", more={f"x{n}": ("F32", (1,)) for n in range(20_000)})
    assert worthwhile(directory) == []
    with pytest.raises(LimitExceeded, match="variants:too-many-tensors"):
        choices(directory)


def test_a_file_whose_names_collide_gets_none() -> None:
    rows = tuple(TensorEntry(path, "F32", (1,), 0, 0, (1,)) for path in (("a.b",), ("a", "b"), ("c",)))
    assert worthwhile(TensorDirectory("torch-zip", (Storage("0", 0, 4),), rows)) == []


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    offers = {offer.recipe: offer for offer in possible(checkpoint(tmp_path))}
    dropped = {reason: found.count for reason, found in offers[R("weights", "fp16")].dropped.items()}
    assert dropped == {"training state": 120, "EMA": 686, "EMA counters": 2}


SOURCES = {
    "averages": {"ema": True},
    "halves": {"ema": True, "dtype": torch.float16},
    "bf16": {"dtype": torch.bfloat16, "ema": False},
    "legacy": {"legacy": True},
}


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_foretold_is_what_is_written(tmp_path: Path, source: str) -> None:
    """Sizes to the byte; and no two files with the same tensors, nor one that equals the twin."""
    path = tiny.lightning_checkpoint(tmp_path / "a.ckpt", **SOURCES[source])
    directory = tiny.read_directory(path)
    written = {twin_recipe(): _write(path, directory, twin_recipe(), tmp_path)}
    for offer in possible(directory):
        written[offer.recipe] = target = _write(path, directory, offer.recipe, tmp_path)
        assert target.stat().st_size == offer.size_bytes
        assert len(load_file(target)) == offer.tensors
    contents = {recipe: _contents(target) for recipe, target in written.items()}
    for one, other in combinations(contents, 2):
        assert contents[one] != contents[other], f"{one} and {other} are the same"


def test_tensors_under_two_names_are_foretold_too(tmp_path: Path) -> None:
    """They are written once and noted in the metadata, which makes the header longer."""
    state = tiny.with_ema(tiny.state_dict())
    state["model.diffusion_model.tied.weight"] = state["model.diffusion_model.out.2.weight"]
    path = tmp_path / "tied.ckpt"
    torch.save(state, path)
    directory = tiny.read_directory(path)
    for offer in possible(directory):
        target = _write(path, directory, offer.recipe, tmp_path)
        assert (target.stat().st_size, len(load_file(target))) == (offer.size_bytes, offer.tensors)


def test_recipes_called_the_same_write_the_same_tensors(tmp_path: Path) -> None:
    path = tiny.lightning_checkpoint(tmp_path / "a.ckpt", ema=False)
    directory = tiny.read_directory(path)
    for recipe, same in choices(directory).same.items():
        one, other = (_write(path, directory, wanted, tmp_path / side) for wanted, side in ((recipe, "l"), (same, "r")))
        assert _contents(one) == _contents(other)


def test_float_position_ids_are_foretold_as_whole_numbers(tmp_path: Path) -> None:
    state = tiny.state_dict()
    name = next(name for name in state if name.endswith("position_ids"))
    state[name] = state[name].float() + 0.1
    path = tmp_path / "a.safetensors"
    save_file(state, path)
    directory = tiny.read_directory(path)
    offer = possible(directory)[0]
    target = _write(path, directory, offer.recipe, tmp_path)
    assert target.stat().st_size == offer.size_bytes
    assert load_file(target)[name].dtype == torch.int64


def _write(path: Path, directory: TensorDirectory, recipe: Recipe, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    target = folder / f"{recipe.keep}-{recipe.precision}.safetensors"
    convert(path, directory, target, recipe, metadata=derived_metadata(directory, recipe, source_sha256="ab" * 32))
    return target


def _contents(path: Path) -> bytes:
    """Names, types and bytes of a safetensors file, without its metadata. Written in one order, so the same tensors are the same bytes."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    table = {name: info for name, info in json.loads(data[8:start]).items() if name != "__metadata__"}
    return json.dumps(table).encode() + data[start:]
