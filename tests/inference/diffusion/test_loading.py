"""Models from single files: every number where diffusers' own conversion puts it, refusals before memory is taken, and no network."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders import single_file_utils as theirs

from inference.diffusion import loading
from inference.diffusion.families import describe
from inference.diffusion.loading import Model, default_dtype, load_model, load_vae, vae_dtype
from inference.diffusion.weightfile import WeightFile
from registry.formats.errors import FormatError
from samples.layout import Widths, ema_name, vae
from tests import diffusion_models as M
from tests.opened_weights import opened

Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


BUILDERS = {"sd1": M.sd1_state, "sd2": M.sd2_state, "sdxl": M.sdxl_state, "refiner": M.refiner_state}


@pytest.fixture(scope="module")
def states() -> dict[str, M.State]:
    return {name: build() for name, build in BUILDERS.items()}


@pytest.fixture(scope="module")
def model(folder: Path, states: dict[str, M.State]) -> Model:
    """The SD 1.x model; nobody changes it."""
    return loaded(folder / "shared.safetensors", states["sd1"])


def loaded(path: Path, state: M.State, metadata: dict[str, str] | None = None, **options: Any) -> Model:
    return load_model(opened(M.written(path, state, metadata)), device="cpu", **options)


def same(module: torch.nn.Module, wanted: dict[str, torch.Tensor]) -> None:
    found = dict(module.named_parameters())
    assert found.keys() == wanted.keys()
    different = [name for name, one in found.items() if not torch.equal(one, wanted[name].to(one.dtype))]
    assert not different


TEXTS = {
    "sd1": [("cond_stage_model.transformer.", True)],
    "sd2": [("cond_stage_model.model.", False)],
    "sdxl": [("conditioner.embedders.0.transformer.", True), ("conditioner.embedders.1.model.", False)],
    "refiner": [("conditioner.embedders.0.model.", False)],
}


@pytest.mark.parametrize("family", BUILDERS)
def test_every_number_lies_where_diffusers_puts_it(family: str, folder: Path, states: dict[str, M.State]) -> None:
    state = states[family]
    model = loaded(folder / "m.safetensors", state, prediction="epsilon")
    check_complete(model)
    same(model.unet, theirs.convert_ldm_unet_checkpoint(dict(state), model.unet.config))
    same(model.vae, theirs.convert_ldm_vae_checkpoint(dict(state), model.vae.config))
    for encoder, (prefix, plain) in zip(model.encoders, TEXTS[family], strict=True):
        own = {name: one for name, one in state.items() if name.startswith(prefix)}
        if plain:
            wanted = {name.removeprefix(prefix): one for name, one in own.items() if not name.endswith("position_ids")}
        else:
            wanted = theirs.convert_open_clip_checkpoint(encoder.model, own, prefix)
        cut = {name.removeprefix("text_model."): one for name, one in wanted.items() if f"layers.{encoder.layers}." not in name}
        if encoder.kind != "clip-g":
            cut.pop("text_projection.weight", None)
        found = {name.removeprefix("text_model."): one for name, one in encoder.model.named_parameters()}
        assert found.keys() == cut.keys()
        assert all(torch.equal(found[name], cut[name]) for name in cut)


def check_complete(model: Model) -> None:
    """Nothing is left without memory, or as for training."""
    for module in (model.unet, model.vae, *(encoder.model for encoder in model.encoders)):
        assert not any(one.is_meta for one in (*module.parameters(), *module.buffers()))
        assert not any(one.requires_grad for one in module.parameters())
        assert not module.training


def test_a_model_samples_and_decodes_without_any_network(folder: Path, states: dict[str, M.State], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was tried")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    model = loaded(folder / "m.safetensors", states["sd1"])
    encoder = model.encoders[0]
    with torch.inference_mode():
        text = encoder.model(torch.tensor([encoder.tokenizer.framed(encoder.tokenizer.encode("a red circle"))])).last_hidden_state
        noise = model.unet(torch.randn(1, 4, 16, 16), torch.tensor(999), text, return_dict=False)[0]
        picture = model.vae.decode(noise / model.architecture.vae_scale, return_dict=False)[0]
    assert (tuple(text.shape), tuple(noise.shape), tuple(picture.shape)) == ((1, 77, 64), (1, 4, 16, 16), (1, 3, 128, 128))
    assert bool(picture.isfinite().all())
    assert picture.std() > 0.01


def test_sdxl_takes_pooled_text_and_sizes(folder: Path, states: dict[str, M.State]) -> None:
    model = loaded(folder / "m.safetensors", states["sdxl"])
    assert [encoder.kind for encoder in model.encoders] == ["clip-l", "clip-g"]
    tokens = torch.tensor([model.encoders[1].tokenizer.framed([320])])
    with torch.inference_mode():
        pooled = model.encoders[1].model(tokens).text_embeds
        sizes = {"text_embeds": pooled, "time_ids": torch.tensor([[128.0, 128, 0, 0, 128, 128]])}
        given = model.unet(torch.randn(1, 4, 16, 16), torch.tensor(500), torch.randn(1, 77, 192), added_cond_kwargs=sizes)[0]
    assert bool(given.isfinite().all())


def test_averages_are_taken_where_they_are_wanted(folder: Path, states: dict[str, M.State]) -> None:
    state = M.sd1_state(ema=True)
    plain, averaged = loaded(folder / "a.safetensors", state), loaded(folder / "b.safetensors", state, ema=True)
    assert torch.equal(averaged.unet.conv_in.weight, plain.unet.conv_in.weight * 0.9)
    assert torch.equal(averaged.vae.quant_conv.weight, plain.vae.quant_conv.weight)
    none = loaded(folder / "m.safetensors", states["sd1"], ema=True)
    assert torch.equal(none.unet.conv_in.weight, plain.unet.conv_in.weight)
    torn = {name: one for name, one in state.items() if name != ema_name("model.diffusion_model.out.2.weight")}
    with pytest.raises(FormatError, match=r"model_ema\.diffusion_modelout2weight"):
        loaded(folder / "c.safetensors", torn, ema=True)


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_half_precision_becomes_float32_on_a_cpu(kind: str, folder: Path) -> None:
    state = M.sd1_state(dtype=kind)
    model = loaded(folder / "m.safetensors", state)
    assert {one.dtype for module in (model.unet, model.vae, model.encoders[0].model) for one in module.parameters()} == {torch.float32}
    assert torch.equal(model.unet.conv_in.weight, state["model.diffusion_model.input_blocks.0.0.weight"].float())


def test_mixed_precision_and_float8_are_read(folder: Path, states: dict[str, M.State]) -> None:
    kinds = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn]
    state = {name: one.to(kinds[n % 5]) if one.is_floating_point() else one for n, (name, one) in enumerate(states["sd1"].items())}
    assert loaded(folder / "m.safetensors", state).dtype == torch.float32


def test_positions_stored_as_floats_are_not_looked_at(folder: Path, states: dict[str, M.State]) -> None:
    name = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    model = loaded(folder / "m.safetensors", {**states["sd1"], name: torch.full((1, 77), 60.0)})
    assert model.encoders[0].model.embeddings.position_ids.tolist() == [list(range(77))]


def test_large_models_are_bfloat16_on_a_cpu(folder: Path, states: dict[str, M.State], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "CPU_FLOAT32_BYTES", 1 << 20)
    model = loaded(folder / "m.safetensors", states["sd1"])
    assert model.dtype == model.unet.dtype == model.vae.dtype == torch.bfloat16


def test_a_gpu_gets_what_is_stored_and_sdxls_vae_stays_wide(folder: Path, states: dict[str, M.State]) -> None:
    gpu = torch.device("cuda")
    for kind in ("F16", "F32"):
        weights = opened(M.tiny_vae(folder / "v.safetensors", dtype=kind))
        assert default_dtype(weights, set(weights.shapes), gpu) == torch.float16
    xl, one = (describe({name: tuple(tensor.shape) for name, tensor in states[family].items()}) for family in ("sdxl", "sd1"))
    assert [vae_dtype(xl, torch.float16), vae_dtype(xl, torch.bfloat16)] == [torch.float32, torch.bfloat16]
    assert vae_dtype(one, torch.float16) == torch.float16


def test_the_text_encoder_of_old_files_has_no_text_model_in_its_names(folder: Path, states: dict[str, M.State], model: Model) -> None:
    old = {name.replace("transformer.text_model.", "transformer."): one for name, one in states["sd1"].items()}
    new = model.encoders[0].model.state_dict()
    found = loaded(folder / "old.safetensors", old).encoders[0].model.state_dict()
    assert new.keys() == found.keys()
    assert all(torch.equal(new[name], found[name]) for name in new)


def dropped(ending: str) -> Change:
    return lambda state: {name: one for name, one in state.items() if not name.endswith(ending)}


def replaced(ending: str, tensor: torch.Tensor) -> Change:
    return lambda state: {name: tensor if name.endswith(ending) else one for name, one in state.items()}


def added(name: str, tensor: torch.Tensor) -> Change:
    return lambda state: {**state, name: tensor}


REFUSED: dict[str, tuple[Change, str, str]] = {
    "a tensor of the UNet is missing": (
        dropped("middle_block.1.proj_out.bias"), "render:missing-tensors", "model.diffusion_model.middle_block.1.proj_out.bias is missing",
    ),
    "a tensor of the VAE is missing": (
        dropped("decoder.up.2.block.1.norm2.weight"), "render:missing-tensors", "first_stage_model.decoder.up.2.block.1.norm2.weight",
    ),
    "a tensor of the text encoder is missing": (dropped("layers.1.mlp.fc2.weight"), "render:missing-tensors", "layers.1.mlp.fc2.weight"),
    "many are missing": (dropped("attn2.to_q.weight"), "render:missing-tensors", "and 11 more tensors are missing"),
    "a wrong shape": (replaced("output_blocks.3.0.in_layers.2.weight", torch.zeros(64, 64, 3, 3)), "render:wrong-shapes", "64, 128, 3, 3"),
    "a matrix for a vector": (replaced("time_embed.0.bias", torch.zeros(16, 16)), "render:wrong-shapes", "time_embed.0.bias has [16, 16]"),
    "a tensor that nobody knows": (
        added("model.diffusion_model.input_blocks.1.2.weight", torch.zeros(1)), "render:unknown-tensors", "input_blocks.1.2.weight",
    ),
    "whole numbers": (
        replaced("input_blocks.0.0.bias", torch.zeros(64, dtype=torch.int64)), "render:element-type", "blocks.0.0.bias is of type I64",
    ),
    "no VAE": (
        lambda state: {name: one for name, one in state.items() if not name.startswith("first_stage")}, "render:no-vae", "name a VAE",
    ),
    "no text encoder": (
        lambda state: {name: one for name, one in state.items() if not name.startswith("cond_stage")}, "render:no-text-encoder", "CLIP",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named_before_a_byte_of_weights_is_read(
    case: str, folder: Path, states: dict[str, M.State], monkeypatch: pytest.MonkeyPatch
) -> None:
    change, code, words = REFUSED[case]
    weights = opened(M.written(folder / "wrong.safetensors", change(states["sd1"])))

    def touched(*_: object) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(WeightFile, "view", touched)
    with pytest.raises(FormatError) as refused:
        load_model(weights, device="cpu")
    assert refused.value.code == code
    assert words in refused.value.sentence


def test_a_checkpoint_without_vae_takes_the_one_it_is_given(folder: Path, states: dict[str, M.State]) -> None:
    bare = {name: one for name, one in states["sd1"].items() if not name.startswith("first_stage_model.")}
    given = opened(M.tiny_vae(folder / "vae.safetensors"))
    model = loaded(folder / "bare.safetensors", bare, vae=given)
    assert torch.equal(model.vae.quant_conv.weight, given.tensor("quant_conv.weight"))


def _diffusers(state: M.State, model: Model) -> M.State:
    return {name: one.detach().clone() for name, one in model.vae.state_dict().items()}


def _older(state: M.State, model: Model) -> M.State:
    words = {"to_out.0": "proj_attn", "to_q": "query", "to_k": "key", "to_v": "value"}
    found = _diffusers(state, model)
    for new, old in words.items():
        found = {name.replace(f"attentions.0.{new}", f"attentions.0.{old}"): one for name, one in found.items()}
    return found


@pytest.mark.parametrize("spelling", ["bare", "prefixed", "diffusers", "older diffusers"])
def test_a_vae_is_read_in_every_spelling(spelling: str, folder: Path, states: dict[str, M.State], model: Model) -> None:
    prefix = "first_stage_model."
    own = {name: one for name, one in states["sd1"].items() if name.startswith(prefix)}
    spelled = {
        "bare": lambda: {name.removeprefix(prefix): one for name, one in own.items()},
        "prefixed": lambda: own,
        "diffusers": lambda: _diffusers(own, model),
        "older diffusers": lambda: _older(own, model),
    }[spelling]()
    found = load_vae(opened(M.written(folder / "vae.safetensors", spelled)), model)
    assert all(torch.equal(one, dict(model.vae.named_parameters())[name]) for name, one in found.named_parameters())
    assert found.config.scaling_factor == 0.18215


def test_a_vae_of_other_latents_is_refused(folder: Path, model: Model) -> None:
    layout = dict(vae("", Widths(M.TINY.unet, M.TINY.vae, 64))) | {"decoder.conv_in.weight": (64, 16, 3, 3)}
    with pytest.raises(FormatError) as refused:
        load_vae(opened(M.written(folder / "vae.safetensors", M.state_of(layout))), model)
    assert refused.value.code == "render:other-latents"


def test_a_lora_is_no_vae(folder: Path, model: Model) -> None:
    with pytest.raises(FormatError) as refused:
        load_vae(opened(M.tiny_lora(folder / "lora.safetensors")), model)
    assert refused.value.code == "render:no-vae"
