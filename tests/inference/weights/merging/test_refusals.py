"""Inputs that must not be merged: what is said, and that nothing is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from registry.formats.errors import FormatError
from tests.inference.weights.merging.models import FIRST, State, merged, model

K = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


def refused(folder: Path, states: dict[str, State], **recipe: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        merged(folder, states, **recipe)
    assert {path.name for path in folder.iterdir()} == {f"{role}.safetensors" for role in states}
    return caught.value


def sdxl() -> State:
    return {
        "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(320, 4, 3, 3),
        "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": torch.zeros(640, 2048),
        "model.diffusion_model.label_emb.0.0.weight": torch.zeros(1280, 2816),
        "conditioner.embedders.1.model.ln_final.weight": torch.zeros(1280),
        "conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight": torch.zeros(77, 768),
        "first_stage_model.decoder.conv_in.weight": torch.zeros(512, 4, 3, 3),
    }


def sd2() -> State:
    found = model(1)
    for name in [name for name in found if name.endswith(("proj_in.weight", "proj_out.weight"))]:
        found[name] = found[name].reshape(found[name].shape[:2])
    return {**found, K: torch.zeros(320, 1024)}


@pytest.mark.parametrize("other", [sdxl, sd2])
@pytest.mark.parametrize("order", ["ab", "ba"])
def test_models_of_two_families_are_refused(tmp_path: Path, other: Any, order: str) -> None:
    states = dict(zip(order, (model(1), other()), strict=True))
    error = refused(tmp_path, states)
    assert error.code == "merge:families"
    assert "Only files of one family fit together" in error.sentence


@pytest.mark.parametrize(("channels", "words"), [(9, "B is an inpainting model"), (8, "B is an instruct-pix2pix model")])
def test_a_normal_model_cannot_take_one_with_more_channels(tmp_path: Path, channels: int, words: str) -> None:
    error = refused(tmp_path, {"a": model(1), "b": model(2, channels=channels)})
    assert error.code == "merge:channels"
    assert words in error.sentence


def test_nine_and_eight_channels_do_not_meet(tmp_path: Path) -> None:
    assert refused(tmp_path, {"a": model(1, channels=9), "b": model(2, channels=8)}).code == "merge:shape"


def test_c_must_have_the_shapes_of_b(tmp_path: Path) -> None:
    states = {"a": model(1, channels=9), "b": model(2, channels=9), "c": model(3)}
    error = refused(tmp_path, states, method="add_difference")
    assert error.code == "merge:shape"
    assert FIRST in error.sentence


@pytest.mark.parametrize("shape", [(8,), (16, 4, 3, 3), (8, 4, 3), (8, 4, 3, 4)])
def test_any_other_difference_of_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    name = "first_stage_model.decoder.conv_in.weight"
    states = {"a": {**model(1), name: torch.zeros(8, 4, 3, 3)}, "b": {**model(2), name: torch.zeros(shape)}}
    error = refused(tmp_path, states)
    assert error.code == "merge:shape"
    assert name in error.sentence


def float8() -> State:
    return {**model(2), K: model(2)[K].to(torch.float8_e4m3fn)}


def codes() -> State:
    return {**model(2), K: torch.zeros(16, 16, dtype=torch.uint8)}


def bitsandbytes() -> State:
    return {**model(2), f"{K}.absmax": torch.zeros(4), f"{K}.quant_map": torch.zeros(16)}


@pytest.mark.parametrize("quantised", [float8, codes, bitsandbytes])
@pytest.mark.parametrize("role", ["a", "b", "c"])
def test_quantised_models_are_refused_in_every_place(tmp_path: Path, quantised: Any, role: str) -> None:
    states = {"a": model(1), "b": model(1), "c": model(1), role: quantised()}
    error = refused(tmp_path, states, method="add_difference")
    assert error.code == "merge:quantised"
    assert f"Model {role.upper()} is stored quantised" in error.sentence


def test_one_tensor_under_an_old_and_a_new_name_is_refused(tmp_path: Path) -> None:
    name = "cond_stage_model.transformer.text_model.final_layer_norm.bias"
    twice = {**model(1), name.replace("text_model.", ""): torch.zeros(16)}
    assert refused(tmp_path, {"a": twice, "b": model(2)}).code == "weights:duplicate-name"


@pytest.mark.parametrize(
    ("method", "missing", "words"), [("add_difference", "c", "tertiary model"), ("weighted_sum", "b", "secondary model")]
)
def test_a_missing_model_is_asked_for(tmp_path: Path, method: str, missing: str, words: str) -> None:
    states = {role: model(1) for role in "abc"[: 2 if missing == "c" else 1]}
    error = refused(tmp_path, states, method=method)
    assert error.code == "merge:missing-input"
    assert words in error.sentence


def test_a_file_that_the_recipe_does_not_need_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, {"a": model(1), "b": model(2), "c": model(3)}).code == "merge:missing-input"


def test_models_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, {"a": {"x.weight": torch.zeros(3)}, "b": {"y.weight": torch.zeros(3)}})
    assert error.code == "merge:nothing-in-common"


def test_a_lora_is_no_model(tmp_path: Path) -> None:
    from tests.tiny import lora_state

    error = refused(tmp_path, {"a": model(1), "b": lora_state()})
    assert error.code == "merge:families"
    assert "Model B is no model but a LoRA. Add it as a LoRA that is baked in." in error.sentence


def test_a_vae_of_another_family_is_refused(tmp_path: Path) -> None:
    vae = {name.removeprefix("first_stage_model."): tensor for name, tensor in model(1).items() if name.startswith("first_stage_model.")}
    vae["decoder.conv_in.weight"] = torch.zeros(16, 16, 3, 3)
    error = refused(tmp_path, {"a": model(1), "vae": vae}, method="no_interpolation", vae=True)
    assert error.code == "merge:vae"
    assert "another family" in error.sentence


def test_a_vae_in_diffusers_names_is_refused(tmp_path: Path) -> None:
    vae = {"decoder.up_blocks.0.resnets.0.norm1.weight": torch.zeros(4)}
    error = refused(tmp_path, {"a": model(1), "vae": vae}, method="no_interpolation", vae=True)
    assert error.code == "merge:vae"
    assert "diffusers" in error.sentence


def test_an_expression_that_discards_everything_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, {"a": model(1), "b": model(2)}, discard=".").code == "merge:nothing-left"


def test_block_weights_for_another_depth_are_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, {"a": model(1), "b": model(2)}, blocks=[0.5] * 20)
    assert error.code == "merge:blocks"
    assert "12 input blocks" in error.sentence


def test_a_pickle_is_to_be_converted_first(tmp_path: Path) -> None:
    from inference.weights.merging.merge import Given, merge
    from inference.weights.merging.recipe import MergeRecipe
    from tests import tiny

    path = tiny.plain_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(FormatError, match="convert it first"):
        merge({"a": Given(path, tiny.read_directory(path))}, tmp_path / "out", MergeRecipe(method="no_interpolation"))
