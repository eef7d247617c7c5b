"""The files of the family: in the layouts they claim, small enough, clean, taken for what they are, and each described once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from registry.identify.detect import identify
from samples.layout import Shape, Widths, ema_name, sd1, vae
from samples.training import files
from samples.training.adapters import PLACES
from samples.training.words import known, tokens_of
from scanner.pickles import scan
from tests.tiny import read_directory

FOLDER = Path(files.__file__).parents[1] / "files"
FAMILY = Widths(unet=(64, 72, 64, 64), vae=(32, 48, 64, 64), clip=64, clip_layers=3)
ENTRIES: list[dict[str, Any]] = json.loads((FOLDER.parent / "samples.json").read_text())
PICKLES = (files.BASE, files.WINTERDAY, files.PRINT)
TABLE = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


@cache
def training_checkpoint() -> dict[str, Any]:
    return dict(torch.load(FOLDER / files.BASE, weights_only=True, mmap=True))


def shapes_in(name: str) -> dict[str, Shape]:
    with safe_open(FOLDER / name, "pt") as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def test_the_base_has_the_names_of_stable_diffusion_1_and_an_average_of_each_unet_tensor() -> None:
    state = training_checkpoint()["state_dict"]
    plain = {name: tuple(tensor.shape) for name, tensor in state.items() if not name.startswith("model_ema.")}
    assert plain == sd1(FAMILY)
    assert sum(name.startswith("model.diffusion_model.") for name in plain) == 686
    assert sum(name.startswith("first_stage_model.") for name in plain) == 248
    averages = {name: tuple(tensor.shape) for name, tensor in state.items() if name.startswith("model_ema.")}
    assert {averages.pop("model_ema.decay"), averages.pop("model_ema.num_updates")} == {()}
    assert averages == {ema: shape for name, shape in plain.items() if (ema := ema_name(name)) is not None}
    assert len(averages) == 686


def test_the_base_is_left_as_a_training_run_leaves_it() -> None:
    root = training_checkpoint()
    assert root["global_step"] == int(root["state_dict"]["model_ema.num_updates"]) > 500
    assert root["optimizer_states"][0]["state"]
    assert all(tensor.dtype in (torch.float32, torch.int64, torch.int32) for tensor in root["state_dict"].values())


def test_weights_are_finite_and_only_known_words_have_vectors() -> None:
    state = training_checkpoint()["state_dict"]
    assert all(torch.isfinite(tensor).all() for tensor in state.values() if tensor.is_floating_point())
    rows = state[TABLE].abs().sum(dim=1).nonzero().flatten().tolist()
    assert sorted(rows) == sorted(known())
    assert not set(tokens_of("masterpiece painting")) & set(rows)


def test_the_fine_tune_is_the_same_layout_in_half_precision() -> None:
    assert shapes_in(files.NEON) == sd1(FAMILY)
    with safe_open(FOLDER / files.NEON, "pt") as file:
        assert file.get_tensor("model.diffusion_model.out.2.weight").dtype == torch.float16
        assert file.metadata()["modelspec.title"] == "Neon Shapes"


def test_the_lora_names_every_layer_of_its_base_and_tells_the_truth_about_itself() -> None:
    with safe_open(FOLDER / files.STICKER, "pt") as file:
        names, told = list(file.keys()), file.metadata()
    modules = {name.split(".")[0] for name in names}
    assert len(names) == 3 * len(modules)
    assert sum(module.startswith("lora_te_text_model_encoder_layers_") for module in modules) == 3 * 6
    assert sum(module.startswith("lora_unet_") for module in modules) == len(PLACES) * 12
    downs = [shape for name, shape in shapes_in(files.STICKER).items() if "lora_down" in name]
    assert {str(shape[0]) for shape in downs} == {told["ss_network_dim"]}
    tags = json.loads(told["ss_tag_frequency"])["1_sticker"]
    assert tags["sticker"] == int(told["ss_num_train_images"]) == max(tags.values())


def test_the_vae_stands_alone_under_its_own_names() -> None:
    assert shapes_in(files.CRISP) == dict(vae("", FAMILY))


def test_embedding_and_hypernetwork_fit_the_bases_text_width() -> None:
    word = torch.load(FOLDER / files.WINTERDAY, weights_only=True)
    assert word["string_to_param"]["*"].shape[1] == FAMILY.clip
    layers = torch.load(FOLDER / files.PRINT, weights_only=True)
    assert [key for key in layers if isinstance(key, int)] == [FAMILY.clip]
    assert all(part["linear.0.weight"].shape[1] == FAMILY.clip for part in layers[FAMILY.clip])


@pytest.mark.parametrize("name", PICKLES)
def test_the_scanner_finds_the_pickles_clean(name: str) -> None:
    with (FOLDER / name).open("rb") as file:
        report = scan(file.fileno(), name=name)
    assert report.verdict == "success", report


@pytest.mark.parametrize("entry", [one for one in ENTRIES if "file" in one["version"]], ids=lambda one: one["name"])
def test_a_file_is_taken_for_what_it_is(entry: dict[str, Any]) -> None:
    found = identify(read_directory(FOLDER.parent / entry["version"]["file"]))
    assert found.kind == entry["kind"]
    if found.kind in ("checkpoint", "lora"):
        assert found.family == "SD 1.x"
        assert found.to_json()["base_model"] == entry["version"]["base_model"]


def test_all_files_stay_small_enough_to_commit() -> None:
    sizes = {name: (FOLDER / name).stat().st_size for name in files.WRITERS}
    assert sizes.pop(files.BASE) <= 60_000_000
    assert max(sizes.values()) <= 20_000_000
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 110_000_000


def test_every_file_is_described_once_with_six_prompts_and_a_base_to_show_it_on() -> None:
    described = [entry["version"]["file"] for entry in ENTRIES if "file" in entry["version"]]
    assert sorted(described) == sorted(f"files/{path.name}" for path in FOLDER.iterdir())
    checkpoints = {entry["name"] for entry in ENTRIES if entry["kind"] == "checkpoint"}
    for entry in ENTRIES:
        version = entry["version"]
        assert len(version["prompts"]) == 6
        assert entry["licence"]["spdx"] == "CC0-1.0"
        assert entry["kind"] == "checkpoint" or version["base"] in checkpoints
        assert ("file" in version) != ("merge" in version)


def test_prompts_use_words_that_the_family_knows() -> None:
    new = {files.WORD, "sticker"}
    for entry in ENTRIES:
        for prompt in entry["version"]["prompts"]:
            words = {word for word in prompt.replace(",", " ").split() if word not in new}
            assert all(token in known() for word in words for token in tokens_of(word)), prompt
