"""The layout as data, and the constructed files: true names and dimensions, the same bytes at every build."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from samples.build import build
from samples.layout import STANDARD, TINY, sd1

PARTS = {"model.diffusion_model.": (686, 859_520_964), "first_stage_model.": (248, 83_653_863), "cond_stage_model.": (197, 123_060_557)}
"""Tensors and numbers of Stable Diffusion 1.5 (v1-5-pruned), by part; the text encoder's include its 77 position ids."""


@pytest.mark.parametrize("part", PARTS)
def test_layout_has_the_tensors_and_numbers_of_stable_diffusion_1_5(part: str) -> None:
    shapes = [shape for name, shape in sd1(STANDARD).items() if name.startswith(part)]
    assert (len(shapes), sum(map(prod, shapes))) == PARTS[part]


def test_narrow_layout_keeps_names_and_dimensions() -> None:
    real, narrow = sd1(STANDARD), sd1(TINY)
    assert {name: len(shape) for name, shape in real.items()} == {name: len(shape) for name, shape in narrow.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("constructed")
    build(folder)
    return folder


def test_files_are_built_again_byte_for_byte(built: Path, tmp_path: Path) -> None:
    for made in build(tmp_path):
        assert made.read_bytes() == (built / made.name).read_bytes(), f"{made.name} differs from build to build"


def test_training_checkpoint_loads_without_running_code(built: Path) -> None:
    root = torch.load(built / "tiny-sd15-ema.ckpt", weights_only=True)
    assert {"state_dict", "optimizer_states", "epoch"} <= set(root)
    assert sum(name.startswith("model_ema.") for name in root["state_dict"]) == 686 + 2


def test_lora_fits_stable_diffusion_1_5(built: Path) -> None:
    real = sd1(STANDARD)
    widths = sorted(shape for name, shape in real.items() if ".attn2.to_k." in name or ".attn2.to_v." in name)
    with safe_open(built / "ink-wash-demo.safetensors", "pt") as file:
        names = [name.removesuffix(".alpha") for name in file.keys() if name.endswith(".alpha")]  # noqa: SIM118
        made = [(file.get_tensor(f"{name}.lora_up.weight") @ file.get_tensor(f"{name}.lora_down.weight")).shape for name in names]
    assert sorted(tuple(shape) for shape in made) == widths
