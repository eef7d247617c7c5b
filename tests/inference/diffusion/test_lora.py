"""LoRAs of every flavour on a loaded model, against W + strength * alpha / rank * difference computed by torch in float64."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.diffusion.lora import load_lora
from inference.diffusion.patching import applied
from inference.weights.merging.deltas import product
from registry.formats.errors import FormatError
from tests import diffusion_models
from tests.inference.diffusion.addon_files import (
    PLACES,
    State,
    differences,
    given,
    layer,
    lora_of,
    numbers,
    opened,
    originals,
    tiny,
    weight_of,
)

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
LINEAR, CONV = PLACES["linear"][0], PLACES["3x3"][0]


def changed(folder: Path, state: State, place: str, strength: float = 0.7, metadata: dict[str, str] | None = None) -> torch.Tensor:
    """The layer's weight with the LoRA on. Nothing but this layer may change, and everything must be as it was afterwards."""
    model = tiny()
    originals()
    patch = load_lora(given(folder, state, metadata), model)
    with applied(model, [(patch, strength, None)]):
        found = weight_of(model, place).detach().clone()
        _, part, module = PLACES[place]
        assert {name.rpartition(".")[0] for name in differences()} == {f"{part} {module}"}
    assert differences() == set()
    return found.double()


def check(folder: Path, place: str, state: State, difference: torch.Tensor, strength: float = 0.7) -> None:
    weight = weight_of(tiny(), place).double()
    torch.testing.assert_close(changed(folder, state, place, strength), weight + strength * difference.reshape(weight.shape), **TOLERANCE)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("alpha", [2.0, None], ids=["alpha", "no alpha"])
def test_a_lora_is_added_at_its_strength(tmp_path: Path, place: str, alpha: float | None) -> None:
    state, difference = lora_of(PLACES[place][0], weight_of(tiny(), place).shape, alpha=alpha)
    check(tmp_path, place, state, difference)


@pytest.mark.parametrize(
    ("module", "down", "up"),
    [
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "lora_A.weight", "lora_B.weight"),
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor", "to_q_lora.down.weight", "to_q_lora.up.weight"),
        ("down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor", "to_q_lora.down.weight", "to_q_lora.up.weight"),
        ("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q", "lora_down.weight", "lora_up.weight"),
        ("diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q", "lora_A.weight", "lora_B.weight"),
    ],
    ids=["peft", "processor", "bare processor", "kohya with ldm names", "comfy"],
)
def test_every_trainer_s_names_mean_the_same_layer(tmp_path: Path, module: str, down: str, up: str) -> None:
    state, difference = lora_of("x", weight_of(tiny(), "linear").shape, alpha=None)
    check(tmp_path, "linear", {f"{module}.{down}": state["x.lora_down.weight"], f"{module}.{up}": state["x.lora_up.weight"]}, difference)


@pytest.mark.parametrize(
    ("name", "part", "module"),
    [
        ("lora_te1_text_model_encoder_layers_2_self_attn_v_proj", "clip-l", "encoder.layers.2.self_attn.v_proj"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc2", "clip-g", "text_model.encoder.layers.0.mlp.fc2"),
        ("text_encoder_2.text_model.encoder.layers.0.mlp.fc2", "clip-g", "text_model.encoder.layers.0.mlp.fc2"),
        (
            "lora_unet_input_blocks_7_1_transformer_blocks_1_attn2_to_k",
            "unet",
            "down_blocks.2.attentions.0.transformer_blocks.1.attn2.to_k",
        ),
        ("lora_unet_output_blocks_2_2_conv", "unet", "up_blocks.0.upsamplers.0.conv"),
        ("lora_unet_label_emb_0_0", "unet", "add_embedding.linear_1"),
    ],
)
def test_sdxl_s_names_in_both_spellings(tmp_path: Path, name: str, part: str, module: str) -> None:
    model = tiny("sdxl")
    weight = layer(model, part, module).weight.double()
    state, difference = lora_of(name, weight.shape)
    with applied(model, [(load_lora(given(tmp_path, state), model), 1.0, None)]):
        torch.testing.assert_close(layer(model, part, module).weight.double(), weight + difference, **TOLERANCE)


def test_alpha_that_peft_keeps_in_the_metadata_counts(tmp_path: Path) -> None:
    state, difference = lora_of("x", weight_of(tiny(), "linear").shape, alpha=None)
    module = "unet." + PLACES["linear"][2]
    lora = {f"{module}.lora_A.weight": state["x.lora_down.weight"], f"{module}.lora_B.weight": state["x.lora_up.weight"]}
    said = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8, "unet.r": 4})}
    weight = weight_of(tiny(), "linear").double()
    torch.testing.assert_close(changed(tmp_path, lora, "linear", 1.0, said), weight + 2 * difference, **TOLERANCE)


def test_a_stored_scale_stands_for_alpha_and_rank(tmp_path: Path) -> None:
    state, difference = lora_of(LINEAR, weight_of(tiny(), "linear").shape, alpha=None)
    check(tmp_path, "linear", {**state, f"{LINEAR}.alpha": torch.tensor(2.0), f"{LINEAR}.scale": torch.tensor(0.25)}, difference * 0.25)


def test_a_locon_with_a_tucker_core(tmp_path: Path) -> None:
    out, inp = weight_of(tiny(), "3x3").shape[:2]
    up, mid, down = numbers(1, out, 3, 1, 1), numbers(2, 3, 2, 3, 3), numbers(3, 2, inp, 1, 1)
    state = {
        f"{CONV}.lora_up.weight": up,
        f"{CONV}.lora_mid.weight": mid,
        f"{CONV}.lora_down.weight": down,
        f"{CONV}.alpha": torch.tensor(1.0),
    }
    made = torch.einsum("nmkl,in,mj->ijkl", mid.double(), up.double()[:, :, 0, 0], down.double()[:, :, 0, 0])
    check(tmp_path, "3x3", state, made / 2)


@pytest.mark.parametrize("place", ["linear", "3x3"])
def test_a_loha(tmp_path: Path, place: str) -> None:
    weight = weight_of(tiny(), place)
    out, width = weight.shape[0], weight[0].numel()
    parts = {"w1_a": numbers(1, out, 4), "w1_b": numbers(2, 4, width), "w2_a": numbers(3, out, 4), "w2_b": numbers(4, 4, width)}
    state = {f"{PLACES[place][0]}.hada_{name}": part for name, part in parts.items()} | {f"{PLACES[place][0]}.alpha": torch.tensor(2.0)}
    w1, w2 = (parts[f"w{n}_a"].double() @ parts[f"w{n}_b"].double() for n in (1, 2))
    check(tmp_path, place, state, w1 * w2 * 2 / 4)


def test_a_loha_with_tucker_cores(tmp_path: Path) -> None:
    out, inp = weight_of(tiny(), "3x3").shape[:2]
    state, halves = {f"{CONV}.alpha": torch.tensor(2.0)}, []
    for number in (1, 2):
        core, left, right = numbers(number, 4, 5, 3, 3), numbers(number + 2, 4, out), numbers(number + 4, 5, inp)
        state |= {f"{CONV}.hada_t{number}": core, f"{CONV}.hada_w{number}_a": left, f"{CONV}.hada_w{number}_b": right}
        halves.append(torch.einsum("ijkl,jr,ip->prkl", core.double(), right.double(), left.double()))
    check(tmp_path, "3x3", state, halves[0] * halves[1] * 2 / 5)


@pytest.mark.parametrize("form", ["whole", "factored", "both factored", "tucker"])
def test_a_lokr(tmp_path: Path, form: str) -> None:
    out, inp = weight_of(tiny(), "3x3").shape[:2]
    first, second = (4, 2), (out // 4, inp // 2)
    w1, parts, scale = numbers(1, *first).double(), {"w1": numbers(1, *first)}, 1.0
    if form == "whole":
        parts |= {"w2": numbers(2, *second, 3, 3)}
        w2 = parts["w2"].double()
    elif form == "tucker":
        core, a, b = numbers(5, 3, 2, 3, 3), numbers(3, 3, second[0]), numbers(4, 2, second[1])
        parts |= {"t2": core, "w2_a": a, "w2_b": b}
        w2, scale = torch.einsum("ijkl,jr,ip->prkl", core.double(), b.double(), a.double()), 3 / 2
    else:
        parts |= {"w2_a": numbers(3, second[0], 2), "w2_b": numbers(4, 2, second[1] * 9)}
        w2, scale = (parts["w2_a"].double() @ parts["w2_b"].double()).reshape(*second, 3, 3), 3 / 2
    if form == "both factored":
        del parts["w1"]
        parts |= {"w1_a": numbers(6, 4, 1), "w1_b": numbers(7, 1, 2)}
        w1 = parts["w1_a"].double() @ parts["w1_b"].double()
    state = {f"{CONV}.lokr_{name}": part for name, part in parts.items()} | {f"{CONV}.alpha": torch.tensor(3.0)}
    check(tmp_path, "3x3", state, torch.kron(w1.reshape(4, 2, 1, 1), w2.contiguous()) * scale)


def test_a_full_difference_of_weight_and_bias(tmp_path: Path) -> None:
    module, part, name = PLACES["text"]
    target = layer(tiny(), part, name)
    weight, bias = numbers(1, *target.weight.shape), numbers(2, *target.bias.shape)
    wanted = target.bias.double() + 0.5 * bias
    patch = load_lora(given(tmp_path, {f"{module}.diff": weight, f"{module}.diff_b": bias}), tiny())
    with applied(tiny(), [(patch, 0.0, 0.5)]):
        torch.testing.assert_close(target.bias.double(), wanted, **TOLERANCE)
    check(tmp_path, "text", {f"{module}.diff": weight}, weight.double())


def test_norms(tmp_path: Path) -> None:
    module, target = "lora_unet_mid_block_resnets_0_norm1", layer(tiny(), "unet", "mid_block.resnets.0.norm1")
    weight, bias = numbers(1, *target.weight.shape), numbers(2, *target.bias.shape)
    wanted = target.weight + 0.5 * weight, target.bias + 0.5 * bias
    patch = load_lora(given(tmp_path, {f"{module}.w_norm": weight, f"{module}.b_norm": bias}), tiny())
    with applied(tiny(), [(patch, 0.5, None)]):
        torch.testing.assert_close(target.weight, wanted[0])
        torch.testing.assert_close(target.bias, wanted[1])


@pytest.mark.parametrize("place", ["linear", "3x3", "text"])
@pytest.mark.parametrize("on_input", [True, False], ids=["input", "output"])
def test_ia3_scales_channels_or_rows(tmp_path: Path, place: str, on_input: bool) -> None:
    weight = weight_of(tiny(), place).double()
    factor = numbers(3, weight.shape[1] if on_input else weight.shape[0])
    shape = [1, -1] + [1] * (weight.dim() - 2) if on_input else [-1] + [1] * (weight.dim() - 1)
    stored = factor.reshape(1, -1, *[1] * (weight.dim() - 2))
    state = {f"{PLACES[place][0]}.weight": stored, f"{PLACES[place][0]}.on_input": torch.tensor([on_input])}
    check(tmp_path, place, state, weight * factor.double().reshape(shape))


@pytest.mark.parametrize("place", ["linear", "3x3"])
@pytest.mark.parametrize("along", ["rows", "channels"])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_dora_rescales_to_its_magnitudes(tmp_path: Path, place: str, along: str, strength: float) -> None:
    weight = weight_of(tiny(), place).double()
    state, difference = lora_of(PLACES[place][0], weight.shape)
    merged, ones = weight + difference, [1] * (weight.dim() - 2)
    if along == "rows":
        magnitude = numbers(7, weight.shape[0], 1, *ones).abs() + 0.1
        norms = merged.flatten(1).norm(dim=1).reshape(-1, 1, *ones)
    else:
        magnitude = numbers(7, 1, weight.shape[1], *ones).abs() + 0.1
        norms = merged.transpose(0, 1).flatten(1).norm(dim=1).reshape(1, -1, *ones)
    state[f"{PLACES[place][0]}.dora_scale"] = magnitude
    check(tmp_path, place, state, magnitude.double() * merged / norms - weight, strength)


def test_a_dora_whose_magnitudes_are_the_base_s_changes_only_what_the_difference_does(tmp_path: Path) -> None:
    weight = weight_of(tiny(), "linear").double()
    state, _ = lora_of("x", weight.shape)
    module = "unet." + PLACES["linear"][2]
    peft = {
        f"{module}.lora_A.weight": torch.zeros_like(state["x.lora_down.weight"]),
        f"{module}.lora_B.weight": state["x.lora_up.weight"],
        f"{module}.lora_magnitude_vector": weight.norm(dim=1).float(),
    }
    patch = load_lora(given(tmp_path, peft), tiny())
    with applied(tiny(), [(patch, 1.0, None)]):
        torch.testing.assert_close(weight_of(tiny(), "linear").double(), weight, **TOLERANCE)


@pytest.mark.parametrize("form", ["now", "once"])
def test_a_glora(tmp_path: Path, form: str) -> None:
    weight = weight_of(tiny(), "text").double()
    rows, width = weight.shape
    a1, a2, b1, b2 = numbers(1, width, 3), numbers(2, 3, width), numbers(3, rows, 3), numbers(4, 3, width)
    difference = weight @ a1.double() @ a2.double() + b1.double() @ b2.double()
    order = (a1, a2, b1, b2) if form == "now" else (a2, a1, b2, b1)
    state = {f"{PLACES['text'][0]}.{name}.weight": part for name, part in zip(("a1", "a2", "b1", "b2"), order, strict=True)}
    check(tmp_path, "text", state, difference)


def test_a_weight_that_is_set(tmp_path: Path) -> None:
    wanted = numbers(1, *weight_of(tiny(), "linear").shape)
    torch.testing.assert_close(
        changed(tmp_path, {f"{PLACES['linear'][0]}.set_weight": wanted}, "linear", 1.0), wanted.double(), **TOLERANCE
    )


@pytest.mark.parametrize("dora", [False, True])
def test_a_lora_of_a_normal_model_changes_the_latents_channels_of_an_inpainting_model_alone(tmp_path: Path, dora: bool) -> None:
    model = tiny("inpaint")
    weight = model.unet.conv_in.weight.double()
    state, difference = lora_of("lora_unet_conv_in", torch.Size([64, 4, 3, 3]))
    if dora:
        state["lora_unet_conv_in.dora_scale"] = torch.ones(64, 1, 1, 1)
        with pytest.raises(FormatError, match="gives a weight of 64x4x3x3, and this model's is 64x9x3x3"):
            load_lora(given(tmp_path, state), model)
        return
    with applied(model, [(load_lora(given(tmp_path, state), model), 1.0, None)]):
        found = model.unet.conv_in.weight.double()
        torch.testing.assert_close(found[:, :4], weight[:, :4] + difference, **TOLERANCE)
        assert torch.equal(found[:, 4:], weight[:, 4:])


def test_a_render_adds_what_a_merge_bakes(tmp_path: Path) -> None:
    state, _ = lora_of(PLACES["linear"][0], weight_of(tiny(), "linear").shape)
    down, up = state[f"{PLACES['linear'][0]}.lora_down.weight"], state[f"{PLACES['linear'][0]}.lora_up.weight"]
    baked = weight_of(tiny(), "linear").numpy() + np.float32(0.7 * 2 / 4) * product(up.numpy(), down.numpy())
    torch.testing.assert_close(changed(tmp_path, state, "linear").float(), torch.from_numpy(baked), **TOLERANCE)


def test_a_whole_lora_applies_with_every_module(tmp_path: Path) -> None:
    patch = load_lora(opened(diffusion_models.tiny_lora(tmp_path / "lora.safetensors")), tiny())
    assert (patch.share.modules, patch.share.applied, patch.share.sentence()) == (57, 57, "")


def test_a_lora_for_other_widths_is_refused_with_both(tmp_path: Path) -> None:
    state, _ = lora_of("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k", torch.Size([64, 2048]))
    with pytest.raises(FormatError, match=r"another family of models.* gives a weight of 64x2048, and this model's is 64x64") as caught:
        load_lora(given(tmp_path, state), tiny())
    assert caught.value.code == "render:other-family"


def test_a_lora_whose_names_mostly_match_nothing_is_refused(tmp_path: Path) -> None:
    fits = lora_of(PLACES["linear"][0], weight_of(tiny(), "linear").shape)[0]
    others = [lora_of(f"lora_unet_double_blocks_{number}_img_attn_proj", torch.Size([8, 8]))[0] for number in range(2)]
    with pytest.raises(FormatError, match=r"2 of its 3 modules have no place in this one \(lora_unet_double_blocks_0") as caught:
        load_lora(given(tmp_path, {**fits, **others[0], **others[1]}), tiny())
    assert caught.value.code == "render:other-family"
    patch = load_lora(given(tmp_path, {**fits, **others[0]}), tiny())
    assert patch.share.sentence() == "1 of 2 modules have no place in this model: lora_unet_double_blocks_0_img_attn_proj"


SQUARE = torch.Size([64, 64])


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        ({"some.weight": torch.ones(2, 2)}, "render:lora", "no LoRA in the file"),
        ({f"{LINEAR}.oft_R.weight": torch.ones(4, 120)}, "render:lora-form", "an OFT of PEFT"),
        ({f"{LINEAR}.oft_blocks": torch.ones(2, 2, 2)}, "render:other-family", "gives a weight of 4x"),
        ({f"{LINEAR}.oft_blocks": torch.ones(4, 16, 15)}, "render:other-family", "64x"),
        ({f"{LINEAR}.oft_blocks": torch.ones(4, 16, 4, 4), f"{LINEAR}.rescale": torch.ones(64, 2)}, "render:other-family", "64x"),
        ({f"{LINEAR}.oft_blocks": torch.ones(6, 16, 4, 4)}, "render:other-family", "64x"),
        ({f"{LINEAR}.oft_blocks": torch.full((4, 16, 16), torch.nan)}, "render:lora", "NaN or infinity"),
        ({f"{LINEAR}.lora_down.weight": torch.ones(2, 64)}, "render:lora-form", "not known"),
        ({**lora_of(LINEAR, SQUARE)[0], f"{LINEAR}.alpha": torch.tensor(torch.nan)}, "render:lora", "is no number"),
        ({**lora_of(LINEAR, SQUARE)[0], f"{LINEAR}.alpha": torch.ones(3)}, "render:lora", "is no number"),
        ({**lora_of(LINEAR, SQUARE)[0], f"{LINEAR}.lora_up.weight": torch.full((64, 4), torch.inf)}, "render:lora", "NaN or infinity"),
        ({**lora_of(LINEAR, SQUARE)[0], f"{LINEAR}.lora_up.weight": torch.full((64, 4), torch.nan)}, "render:lora", "NaN or infinity"),
        ({**lora_of(LINEAR, SQUARE)[0], f"{LINEAR}.dora_scale": torch.ones(3)}, "render:other-family", "another family"),
        ({**lora_of(LINEAR, SQUARE)[0], f"{LINEAR}.lora_up.weight": torch.ones(64, 3)}, "render:other-family", "do not belong together"),
        ({n: t.to(torch.int32) for n, t in lora_of(LINEAR, SQUARE)[0].items()}, "render:element-type", "is of type I32"),
        ({f"{LINEAR}.weight": torch.ones(32), f"{LINEAR}.on_input": torch.tensor(True)}, "render:other-family", "64x64"),
        (
            {f"{PLACES['text'][0]}.weight": torch.ones(256), f"{PLACES['text'][0]}.on_input": torch.tensor(True)},
            "render:other-family",
            "256",
        ),
        ({f"{LINEAR}.diff": torch.ones(0)}, "render:other-family", "64x64"),
        (lora_of(LINEAR, SQUARE, rank=5000)[0], "render:lora-rank", "rank 5,000; LoRAs of at most 4,096"),
        ({f"{LINEAR}.lora_down.weight": torch.ones(0, 64), f"{LINEAR}.lora_up.weight": torch.ones(64, 0)}, "render:other-family", "64x64"),
    ],
    ids=range(20),
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, state: State, code: str, words: str) -> None:
    originals()
    with pytest.raises(FormatError, match=words) as caught:
        load_lora(given(tmp_path, state), tiny())
    assert caught.value.code == code
    assert differences() == set()
