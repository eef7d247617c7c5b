"""Add-ons put on a model and taken off: what changes while they are on, and that every bit is as it was afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inference.diffusion.lora import Patch, load_lora
from inference.diffusion.patching import applied
from registry.formats.errors import FormatError
from tests import diffusion_models
from tests.inference.diffusion.addon_files import PLACES, differences, given, layer, lora_of, originals, tiny, weight_of
from tests.opened_weights import opened

CONV = PLACES["3x3"][0]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Patch, Patch]:
    """Two LoRAs of the whole model."""
    made = [diffusion_models.tiny_lora(tmp_path / f"{seed}.safetensors", seed=seed) for seed in (2, 3)]
    return load_lora(opened(made[0]), tiny()), load_lora(opened(made[1]), tiny())


@pytest.mark.parametrize("in_host", [False, True])
def test_the_base_comes_back_bit_for_bit(two: tuple[Patch, Patch], in_host: bool) -> None:
    originals()
    with applied(tiny(), [(two[0], 0.3, None), (two[1], -1.2, 0.5)], in_host):
        assert len(differences()) == 57
    assert differences() == set()
    with pytest.raises(ZeroDivisionError), applied(tiny(), [(two[0], 1.0, None)], in_host):
        raise ZeroDivisionError
    assert differences() == set()


@pytest.mark.parametrize("in_host", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once_and_comes_back(tmp_path: Path, dtype: torch.dtype, in_host: bool) -> None:
    model = tiny()
    target = weight_of(model, "3x3")
    state, difference = lora_of(CONV, target.shape)
    patch, original = load_lora(given(tmp_path, state), model), target.data
    target.data = original.to(dtype).contiguous(memory_format=torch.channels_last)
    try:
        was = target.data.clone()
        with applied(model, [(patch, 0.7, None)], in_host):
            exact = (was.double() + 0.7 * difference).float().to(dtype)
            assert target.dtype == dtype
            assert (target != exact).sum() <= target.numel() / 100, "float32 may fall on the other side of a tie"
            assert target.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(target.data, was)
    finally:
        target.data = original


def test_several_are_added_at_their_own_strengths(two: tuple[Patch, Patch]) -> None:
    unet = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    text = "encoder.layers.0.self_attn.q_proj"
    was = layer(tiny(), "unet", unet).weight.double(), layer(tiny(), "clip-l", text).weight.double()
    deltas = []
    for patch in two:
        with applied(tiny(), [(patch, 1.0, None)]):
            deltas.append((layer(tiny(), "unet", unet).weight.double() - was[0], layer(tiny(), "clip-l", text).weight.double() - was[1]))
    with applied(tiny(), [(two[0], 0.5, 0.25), (two[1], -1.0, 0.0)]):
        torch.testing.assert_close(
            layer(tiny(), "unet", unet).weight.double(), was[0] + 0.5 * deltas[0][0] - deltas[1][0], rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(layer(tiny(), "clip-l", text).weight.double(), was[1] + 0.25 * deltas[0][1], rtol=1e-4, atol=1e-5)


def test_one_that_does_not_fit_leaves_nothing_of_the_others(two: tuple[Patch, Patch], tmp_path: Path) -> None:
    originals()
    other = load_lora(given(tmp_path, lora_of("lora_te2_text_model_encoder_layers_0_mlp_fc2", torch.Size([128, 512]))[0]), tiny("sdxl"))
    with pytest.raises(FormatError, match="built otherwise"), applied(tiny(), [(two[0], 1.0, None), (other, 1.0, None)]):
        pass
    assert differences() == set()


def test_strength_zero_touches_nothing(two: tuple[Patch, Patch]) -> None:
    originals()
    places = {name: one.data_ptr() for name, one in tiny().unet.named_parameters()}
    with applied(tiny(), [(two[0], 0.0, None)]):
        assert differences() == set()
        assert {name: one.data_ptr() for name, one in tiny().unet.named_parameters()} == places
    with applied(tiny(), [(two[0], 0.0, 1.0)]):
        assert {name.split()[0] for name in differences()} == {"clip-l"}


def test_a_patch_of_one_model_is_not_put_on_another_kind(two: tuple[Patch, Patch]) -> None:
    originals("sdxl")
    with pytest.raises(FormatError) as caught, applied(tiny("sdxl"), [(two[0], 1.0, None)]):
        pass
    assert caught.value.code == "render:other-family"
    assert differences("sdxl") == set()
