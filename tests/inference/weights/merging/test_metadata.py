"""What a merged file says of itself: A1111's record of the merge, ours, and what the sources said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference.weights.merging.merge import merge
from inference.weights.merging.recipe import MergeRecipe, Origin
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from tests.inference.weights.merging.models import given, model

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def made(folder: Path, sources: dict[str, dict[str, str]], **recipe: Any) -> dict[str, str]:
    """The metadata of a merge of models with these."""
    hashes = {"a": A, "b": B, "c": C, "vae": "d" * 64}
    inputs = {
        role: given(folder / role, model(number), metadata=metadata, origin=Origin(hashes[role], f"{role} name", "1234abcd"))
        for number, (role, metadata) in enumerate(sources.items())
    }
    merge(inputs, folder / "out", MergeRecipe(**recipe))
    return load_metadata(folder / "out")


def load_metadata(path: Path) -> dict[str, str]:
    with open(path, "rb") as file:
        return read_safetensors(Window(file.fileno())).metadata


def test_a1111_finds_its_own_record(tmp_path: Path) -> None:
    found = made(tmp_path, {"a": {"x": "1"}, "b": {"y": "2"}}, multiplier=0.3, precision="fp16", discard="^betas", name="mine")
    assert json.loads(found["sd_merge_recipe"]) == {
        "type": "webui", "primary_model_hash": A, "secondary_model_hash": B, "tertiary_model_hash": None, "interp_method": "Weighted sum",
        "multiplier": 0.3, "save_as_half": True, "custom_name": "mine", "config_source": 0, "bake_in_vae": "None",
        "discard_weights": "^betas",
        "is_inpainting": False, "is_instruct_pix2pix": False,
    }  # fmt: skip
    assert json.loads(found["sd_merge_models"]) == {
        A: {"name": "a name", "legacy_hash": "1234abcd", "sd_merge_recipe": None},
        B: {"name": "b name", "legacy_hash": "1234abcd", "sd_merge_recipe": None},
    }


def test_what_the_parents_came_from_goes_along(tmp_path: Path) -> None:
    earlier = {"sd_merge_recipe": json.dumps({"type": "webui"}), "sd_merge_models": json.dumps({C: {"name": "grandparent"}})}
    models = json.loads(made(tmp_path, {"a": earlier, "b": {"sd_merge_models": "{broken", "sd_merge_recipe": "[1]"}})["sd_merge_models"])
    assert models[A]["sd_merge_recipe"] == {"type": "webui"}
    assert models[B]["sd_merge_recipe"] is None
    assert models[C] == {"name": "grandparent"}


def test_entries_are_copied_and_the_later_model_wins(tmp_path: Path) -> None:
    stale = {"sshs_model_hash": "0" * 64, "modelspec.hash_sha256": "0x1", "weighhouse.merge": "{}", "ss_dataset_dirs": "{}"}
    sources = {"a": {"title": "from a", "only": "a", **stale}, "b": {"title": "from b"}, "c": {"title": "from c"}}
    found = made(tmp_path, sources, method="add_difference")
    assert (found["title"], found["only"], found["format"]) == ("from c", "a", "pt")
    assert not set(stale) - {"weighhouse.merge"} & set(found)
    assert json.loads(found["weighhouse.merge"])["method"] == "add_difference"


def test_entries_are_left_out_where_that_is_asked(tmp_path: Path) -> None:
    found = made(tmp_path, {"a": {"only": "a"}, "b": {}}, copy_metadata=False)
    assert "only" not in found


def test_ours_says_what_was_done_and_of_what(tmp_path: Path) -> None:
    found = made(tmp_path, {"a": {}, "b": {}}, name="mine", multiplier=0.25)
    assert MergeRecipe.from_json(json.loads(found["weighhouse.merge"])) == MergeRecipe(name="mine", multiplier=0.25)
    assert json.loads(found["weighhouse.sources"]) == {"a": A, "b": B}
    assert (found["modelspec.merged_from"], found["modelspec.title"]) == ("a name, b name", "mine")


def test_the_other_kinds_of_metadata(tmp_path: Path) -> None:
    sources = {"a": {"only": "a"}, "b": {"y": "1"}}
    assert set(made(tmp_path, sources, metadata="a1111")) == {"only", "y", "format", "sd_merge_recipe", "sd_merge_models"}
    assert made(tmp_path, sources, metadata="plain") == {"format": "pt"}
    assert made(tmp_path, sources, metadata="none") == {}


def test_what_a1111_does_not_know_is_not_called_its_own(tmp_path: Path) -> None:
    found = json.loads(made(tmp_path, {"a": {}, "b": {}}, method="slerp", blocks=[0.5] * 26)["sd_merge_recipe"])
    assert (found["type"], found["interp_method"], found["block_weights"]) == ("weighhouse", "Slerp", [0.5] * 26)


def test_a_baked_vae_is_named(tmp_path: Path) -> None:
    found = made(tmp_path, {"a": {}, "vae": {}}, method="no_interpolation", vae=True)
    recipe = json.loads(found["sd_merge_recipe"])
    assert (recipe["interp_method"], recipe["bake_in_vae"]) == ("No interpolation", "vae name")


def test_the_result_is_not_called_what_b_or_c_is(tmp_path: Path) -> None:
    said = {role: {"modelspec.title": f"title of {role}", "modelspec.architecture": f"architecture of {role}"} for role in "abc"}
    sources = {"a": said["a"], "b": {**said["b"], "modelspec.author": "author of b"}, "c": said["c"]}
    found = made(tmp_path, sources, method="add_difference")
    assert found["modelspec.title"] == "title of a"
    assert found["modelspec.architecture"] == "architecture of a"
    assert "modelspec.author" not in found
    assert made(tmp_path, sources, method="add_difference", name="mine")["modelspec.title"] == "mine"
    assert made(tmp_path, sources, method="add_difference", metadata="a1111")["modelspec.title"] == "title of c"


@pytest.mark.parametrize("name", ["bytes \udcff that are no text", "nul\0", "turned \u202e round", "long " * 100])
def test_names_that_are_no_plain_text_are_made_so(tmp_path: Path, name: str) -> None:
    origin = Origin(A, name, "")
    inputs = {"a": given(tmp_path / "a", model(1), origin=origin), "b": given(tmp_path / "b", model(2))}
    merge(inputs, tmp_path / "out", MergeRecipe())
    found = load_metadata(tmp_path / "out")
    assert found["modelspec.merged_from"] == printable(name)
    assert json.loads(found["sd_merge_models"])[A]["name"] == printable(name)


def test_metadata_that_no_header_can_hold_is_refused_before_the_work(tmp_path: Path) -> None:
    inputs = {role: given(tmp_path / role, model(1), metadata={f"text of {role}": "{" * 300_000}) for role in "ab"}
    steps: list[int] = []
    with pytest.raises(FormatError) as caught:
        merge(inputs, tmp_path / "out", MergeRecipe(), progress=lambda done, _total: steps.append(done))
    assert caught.value.code == "S-HEADER-SIZE"
    assert not steps
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
