"""Textual inversions in every layout, for the text encoders of a loaded model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inference.diffusion.addons import load_addon
from inference.diffusion.embedding import Embedding, load_embedding
from inference.diffusion.jobs import JobFile
from inference.weights.convert import convert
from inference.weights.recipe import Recipe
from registry.formats.errors import FormatError
from tests import tiny as files
from tests.inference.diffusion.addon_files import State, given, numbers, tiny
from tests.opened_weights import opened


def twin(folder: Path, content: object) -> Path:
    """The safetensors twin that the hub makes of a .pt."""
    torch.save(content, folder / "e.pt")
    convert(folder / "e.pt", files.read_directory(folder / "e.pt"), folder / "e.safetensors", Recipe())
    return folder / "e.safetensors"


@pytest.mark.parametrize("name", ["emb_params", "<cat>", "string_to_param.*", "clip_l"])
def test_safetensors_layouts(tmp_path: Path, name: str) -> None:
    vectors = numbers(1, 3, 64)
    found = load_embedding(given(tmp_path, {name: vectors.half()}), "glow", tiny())
    assert found.name == "glow"
    assert set(found.vectors) == {"clip-l"}
    assert torch.equal(found.vectors["clip-l"], vectors.half().float())


@pytest.mark.parametrize("wrapped", [torch.nn.ParameterDict, dict], ids=["ParameterDict", "dict"])
def test_twins_of_a1111_s_pt(tmp_path: Path, wrapped: type) -> None:
    vectors = numbers(1, 2, 64)
    root = {"string_to_token": {"*": 265}, "string_to_param": wrapped({"*": torch.nn.Parameter(vectors)}), "name": "glow", "step": 5}
    found = load_embedding(opened(twin(tmp_path, {**root, "sd_checkpoint": None})), "glow", tiny())
    assert torch.equal(found.vectors["clip-l"], vectors)


def test_a_single_vector_of_diffusers(tmp_path: Path) -> None:
    vector = numbers(1, 64)
    found = load_embedding(opened(twin(tmp_path, {"<cat>": vector})), "cat", tiny())
    assert torch.equal(found.vectors["clip-l"], vector.reshape(1, 64))


@pytest.mark.parametrize("names", [("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")])
def test_sdxl_s_pair(tmp_path: Path, names: tuple[str, str]) -> None:
    state = {names[0]: numbers(1, 2, 64), names[1]: numbers(2, 2, 128)}
    file = JobFile("embedding", "glow", "a" * 64, 1)
    found = load_addon(file, given(tmp_path, state), tiny("sdxl"))
    assert isinstance(found, Embedding)
    assert torch.equal(found.vectors["clip-l"], state[names[0]])
    assert torch.equal(found.vectors["clip-g"], state[names[1]])


@pytest.mark.parametrize(
    ("family", "state", "code", "words"),
    [
        ("sd1", {"emb_params": (2, 128)}, "render:other-family", r"vectors have 128 \(clip-l\) numbers.* encoders take 64 \(clip-l\)"),
        ("sdxl", {"emb_params": (2, 64)}, "render:other-family", r"vectors have 64 numbers.* take 64 \(clip-l\) and 128 \(clip-g\)"),
        ("sdxl", {"clip_l": (2, 64), "clip_g": (2, 64)}, "render:other-family", r"64 \(clip-g\)"),
        ("sd1", {"clip_l": (2, 64), "clip_g": (2, 128)}, "render:other-family", r"128 \(clip-g\)"),
        ("sdxl", {"clip_l": (2, 64), "clip_g": (3, 128)}, "render:embedding", "2 and 3 vectors"),
        ("sd1", {"emb_params": (76, 64)}, "render:embedding", "76 vectors"),
        ("sd1", {"emb_params": (0, 64)}, "render:embedding", "0 vectors"),
        ("sd1", {"emb_params": (10_000, 64)}, "render:embedding", "10000 vectors"),
        ("sd1", {"*": (1, 64), "x": (1, 64)}, "render:embedding", r"several embeddings \(\*, x\)"),
        ("sd1", {"emb_params": (1, 2, 64)}, "render:embedding", "no textual inversion"),
        ("sd1", {"emb_params": ()}, "render:embedding", "no textual inversion"),
    ],
    ids=range(11),
)
def test_what_does_not_fit_is_refused(tmp_path: Path, family: str, state: dict[str, tuple[int, ...]], code: str, words: str) -> None:
    made: State = {name: torch.ones(shape) for name, shape in state.items()}
    with pytest.raises(FormatError, match=words) as caught:
        load_embedding(given(tmp_path, made), "glow", tiny(family))
    assert caught.value.code == code


@pytest.mark.parametrize(("value", "code"), [(torch.nan, "render:embedding"), (torch.inf, "render:embedding")])
def test_numbers_that_are_none_are_refused(tmp_path: Path, value: float, code: str) -> None:
    with pytest.raises(FormatError, match="NaN or infinity") as caught:
        load_embedding(given(tmp_path, {"emb_params": torch.full((1, 64), value)}), "glow", tiny())
    assert caught.value.code == code
    with pytest.raises(FormatError, match="is of type I64"):
        load_embedding(given(tmp_path, {"emb_params": torch.ones(1, 64).long()}), "glow", tiny())


def test_a_second_checkpoint_is_no_add_on(tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        load_addon(JobFile("checkpoint", "b", "a" * 64, 1), given(tmp_path, {"x": torch.ones(1)}), tiny())
    assert caught.value.code == "render:role"
