"""SD 3 and Flux on tiny models: names as diffusers converts them, whole jobs, and what is said where T5 is missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders import single_file_utils
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import StableDiffusion3Pipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from tokenizers import Tokenizer

from inference.diffusion import flowsampling
from inference.diffusion.families import describe
from inference.diffusion.flowkeys import sd3_sources
from inference.diffusion.flowloading import load_flow
from inference.diffusion.flowtext import encode_flow
from inference.diffusion.jobs import AddOn, Event, Shot
from inference.diffusion.keys import check, check_used
from inference.diffusion.loading import Model
from inference.diffusion.render import Renderer
from inference.diffusion.sampling import PictureNoise
from inference.diffusion.t5folder import for_child
from inference.diffusion.weightfile import open_weights
from inference.engine import Engine
from registry.formats.errors import FormatError
from tests import flow_models as flow
from tests.diffusion_models import State, written
from tests.inference.diffusion.test_render import job, notes, pictures, pixels, told
from tests.registry.sandbox.machine import on_linux

SHOT = Shot("a red circle", "blurred", 64, 64, "DPM++ 2M", "Karras", 2, 5.0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("flow")


@pytest.fixture(autouse=True)
def no_t5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEIGH_T5_DIR", raising=False)


@pytest.fixture
def t5(t5_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEIGH_T5_DIR", str(t5_folder))
    return t5_folder


@pytest.fixture(scope="module")
def sd3_tensors() -> State:
    return flow.sd3_state()


@pytest.fixture(scope="module")
def flux_tensors() -> State:
    return flow.flux_state()


@pytest.fixture(scope="module")
def sd3(folder: Path, sd3_tensors: State) -> Path:
    return written(folder / "sd3.safetensors", sd3_tensors)


@pytest.fixture(scope="module")
def flux(folder: Path, flux_tensors: State) -> Path:
    return written(folder / "flux.safetensors", flux_tensors)


def loaded(path: Path) -> Model:
    with path.open("rb") as file:
        return load_flow(open_weights(file.fileno()), device="cpu")


def refused(path: Path, **changed: Any) -> FormatError:
    with pytest.raises(FormatError) as found:
        told(Renderer("cpu"), job(path, shots=[replace(SHOT, **changed)]))
    return found.value


def same(ours: State, theirs: State) -> None:
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def shaken(state: State) -> State:
    """Every number another one, so that no two tensors are alike."""
    dice = torch.Generator().manual_seed(4)
    return {name: one + torch.randn(one.shape, generator=dice) if name.startswith(flow.U) else one for name, one in state.items()}


def transformer_of(state: State) -> State:
    return {name: tensor.clone() for name, tensor in state.items() if name.startswith(flow.U)}


@pytest.mark.parametrize("build", [{}, {"rms": True}, {"rms": True, "dual": 1}], ids=["SD 3", "SD 3.5 large", "SD 3.5 medium"])
def test_sd3_is_loaded_as_diffusers_converts_it(folder: Path, sd3_tensors: State, build: dict[str, Any]) -> None:
    state = shaken({**sd3_tensors, **flow.state_of(flow.sd3_layout(**build))})
    model = loaded(written(folder / "converted.safetensors", state))
    same(model.unet.state_dict(), single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers(transformer_of(state)))
    assert model.architecture.unet["dual_attention_layers"] == tuple(range(build.get("dual", 0)))


def test_a_picture_of_sd3_is_the_one_of_diffusers_pipeline(sd3: Path) -> None:
    model = loaded(sd3)
    drawn = pixels(pictures(told(Renderer("cpu"), job(sd3, shots=[SHOT])))[0])
    with torch.inference_mode():
        texts = encode_flow(model, [SHOT.prompt, SHOT.negative_prompt])
        pipeline: Any = StableDiffusion3Pipeline(
            transformer=model.unet, vae=model.vae, scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            text_encoder=None, text_encoder_2=None, text_encoder_3=None, tokenizer=None, tokenizer_2=None, tokenizer_3=None,
        )  # fmt: skip
        pipeline.set_progress_bar_config(disable=True)
        told_it = {
            f"{sign}{name}": getattr(texts[text], field)[None]
            for sign, text in (("", SHOT.prompt), ("negative_", SHOT.negative_prompt))
            for name, field in (("prompt_embeds", "context"), ("pooled_prompt_embeds", "pooled"))
        }
        first = PictureNoise([SHOT.seed], (16, 8, 8), "cpu").first()
        theirs = pipeline(
            **told_it, latents=first, height=64, width=64, num_inference_steps=2, guidance_scale=SHOT.cfg_scale, output_type="np"
        )
    assert np.abs(drawn - np.round(theirs.images[0] * 255)).max() <= 1


def test_texts_of_sd3_are_those_of_diffusers_pipeline(sd3: Path) -> None:
    model = loaded(sd3)
    clip_l, clip_g = (encoder.transformer for encoder in model.encoders)
    tokens = [torch.tensor([encoder.tokenizer.framed(encoder.tokenizer.encode(SHOT.prompt))]) for encoder in model.encoders]
    with torch.inference_mode():
        ours = encode_flow(model, [SHOT.prompt])[SHOT.prompt]
        near, far = clip_l(tokens[0], output_hidden_states=True), clip_g(tokens[1], output_hidden_states=True)
        context = torch.cat([near.hidden_states[-2], far.hidden_states[-2]], dim=-1)[0]
        projection = model.encoders[1].model.text_projection.weight
        pooled = torch.cat([near.pooler_output[0], far.pooler_output[0] @ projection.T])
    assert ours.context.shape == (77 + 256, flow.JOINT)
    assert torch.allclose(ours.context[:77, : 64 + 128], context)
    assert not ours.context[:77, 64 + 128 :].any()
    assert not ours.context[77:].any()
    assert torch.allclose(ours.pooled, pooled)  # type: ignore[arg-type]


def test_sd3_makes_the_same_bytes_twice_and_other_pictures_of_other_words(sd3: Path) -> None:
    renderer = Renderer("cpu")
    wanted = job(sd3, shots=[SHOT, replace(SHOT, prompt="a blue square"), replace(SHOT, width=96, cfg_scale=1.0)])
    first, second = told(renderer, wanted), told(renderer, wanted)
    drawn = pictures(first)
    assert drawn == pictures(second)
    assert sorted(drawn) == [0, 1, 2]
    assert pixels(drawn[2]).shape == (64, 96, 3)
    assert np.abs(pixels(drawn[0]) - pixels(drawn[1])).mean() > 1
    assert "Euler's steps were taken" in notes(first)
    assert "without T5" in notes(first)
    assert (first[-1].data["family"], first[-1].data["prediction"]) == ("sd3", "flow")


def test_sd3_hears_t5_where_the_hub_has_it(folder: Path, sd3: Path, sd3_tensors: State, t5: Path) -> None:
    inside = written(folder / "sd3t5.safetensors", {**sd3_tensors, **flow.state_of(flow.t5_layout(f"{flow.TEXT}t5xxl.transformer."))})
    events = told(Renderer("cpu"), job(inside, shots=[SHOT]))
    assert "without T5" not in notes(events)
    assert loaded(sd3).t5 is not None
    with torch.inference_mode():
        text = encode_flow(loaded(inside), [SHOT.prompt])[SHOT.prompt]
    assert text.context[77:].abs().min(dim=-1).values.max() > 0


@pytest.mark.parametrize("lost", ["joint_blocks.1.x_block.mlp.fc2.bias", "pos_embed", "final_layer.adaLN_modulation.1.weight"])
def test_missing_tensors_are_named(folder: Path, sd3_tensors: State, lost: str) -> None:
    left = {name: one for name, one in sd3_tensors.items() if name != flow.U + lost}
    error = refused(written(folder / "broken.safetensors", left))
    assert lost in error.sentence
    assert error.code in ("render:missing-tensors", "render:layout")


def test_a_tensor_that_no_model_has_is_named(folder: Path, sd3_tensors: State) -> None:
    state = sd3_tensors | {f"{flow.U}joint_blocks.0.x_block.extra.weight": torch.zeros(1)}
    assert refused(written(folder / "more.safetensors", state)).code == "render:unknown-tensors"


@pytest.mark.parametrize(("changed", "code"), [({"width": 72}, "render:size"), ({"height": 512}, "render:size")])
def test_sides_that_the_model_has_no_places_for_are_refused(sd3: Path, changed: dict[str, int], code: str) -> None:
    assert refused(sd3, **changed).code == code


def test_sd3_without_its_clips_is_refused_in_words() -> None:
    with pytest.raises(FormatError, match="CLIP-L and CLIP-G"):
        describe(flow.sd3_layout())


def test_a_lora_on_sd3_is_refused_in_words(folder: Path, sd3: Path) -> None:
    lora = written(folder / "lora.safetensors", {"lora_unet_x.lora_up.weight": torch.zeros(4, 4)})
    with pytest.raises(FormatError, match="SD 3 and Flux"):
        told(Renderer("cpu"), job(sd3, ("lora", lora), shots=[replace(SHOT, addons=(AddOn(1),))]))


def test_flux_without_t5_says_what_it_needs(flux: Path) -> None:
    error = refused(flux)
    assert error.code == "render:needs-t5"
    assert "needs T5: set WEIGH_T5_DIR to a folder with the T5 v1.1 XXL encoder and its tokenizer" in error.sentence


def converter(width: int) -> Callable[[State], State]:
    """diffusers' own for Flux, whose width stands in it as a number."""
    source = inspect.getsource(single_file_utils.convert_flux_transformer_checkpoint_to_diffusers)
    assert "inner_dim = 3072" in source
    there: dict[str, Any] = dict(vars(single_file_utils))
    exec(source.replace("inner_dim = 3072", f"inner_dim = {width}"), there)  # noqa: S102 (the installed library's own words)
    found: Callable[[State], State] = there["convert_flux_transformer_checkpoint_to_diffusers"]
    return found


@pytest.mark.parametrize("guided", [True, False], ids=["dev", "schnell"])
def test_flux_is_loaded_as_diffusers_converts_it(folder: Path, t5: Path, flux_tensors: State, guided: bool) -> None:
    state = shaken({**flow.without(flux_tensors, flow.U), **flow.state_of(flow.flux_layout(guided=guided))})
    model = loaded(written(folder / "converted.safetensors", state))
    same(model.unet.state_dict(), converter(flow.WIDTH)(transformer_of(state)))


@pytest.mark.parametrize("guided", [True, False], ids=["dev", "schnell"])
def test_a_picture_of_flux_is_the_one_of_diffusers_pipeline(folder: Path, t5: Path, flux_tensors: State, guided: bool) -> None:
    state = {**flow.without(flux_tensors, flow.U), **flow.state_of(flow.flux_layout(guided=guided))}
    path = written(folder / f"flux-{guided}.safetensors", state)
    model, shot = loaded(path), replace(SHOT, cfg_scale=3.5, width=96)
    drawn = pixels(pictures(told(Renderer("cpu"), job(path, shots=[shot])))[0])
    with torch.inference_mode():
        heard = encode_flow(model, [shot.prompt])[shot.prompt]
        pipeline: Any = FluxPipeline(
            transformer=model.unet, vae=model.vae, text_encoder=None, text_encoder_2=None, tokenizer=None, tokenizer_2=None,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=guided),
        )  # fmt: skip
        pipeline.set_progress_bar_config(disable=True)
        first = flowsampling.packed(PictureNoise([shot.seed], (16, 8, 12), "cpu").first())
        theirs = pipeline(
            prompt_embeds=heard.context[None], pooled_prompt_embeds=heard.pooled[None], latents=first,  # type: ignore[index]
            height=64, width=96, num_inference_steps=2, guidance_scale=3.5, output_type="np",
        )  # fmt: skip
    assert heard.context.shape == (512 if guided else 256, flow.JOINT)
    assert np.abs(drawn - np.round(theirs.images[0] * 255)).max() <= 1


def test_flux_makes_the_same_bytes_twice_and_other_pictures_of_other_words_and_guidance(flux: Path, t5: Path) -> None:
    renderer = Renderer("cpu")
    wanted = job(flux, shots=[SHOT, replace(SHOT, prompt="a blue square"), replace(SHOT, cfg_scale=1.0)])
    first, second = told(renderer, wanted), told(renderer, wanted)
    drawn = pictures(first)
    assert drawn == pictures(second)
    assert len(set(drawn.values())) == 3
    assert "the negative prompt is not used" in notes(first)


def test_t5_hears_the_whole_text_without_weights(flux: Path, t5: Path) -> None:
    with torch.inference_mode():
        texts = encode_flow(loaded(flux), ["a (red:1.4) cat", "a red cat", "a red dog"])
        words = Tokenizer.from_file(str(t5 / "tokenizer.json")).encode("a red cat", add_special_tokens=False).ids
        numbers = torch.tensor([[*words, 1, *[0] * (511 - len(words))]])
        model: Any = loaded(flux).t5
        plain = model.model(input_ids=numbers).last_hidden_state[0]
    assert torch.allclose(texts["a red cat"].context, plain, atol=1e-5)
    assert torch.equal(texts["a (red:1.4) cat"].context, texts["a red cat"].context)
    assert not torch.allclose(texts["a red dog"].context, texts["a red cat"].context, atol=1e-3)


def test_flux_takes_the_encoder_of_the_folder_where_the_file_has_none(folder: Path, t5: Path, flux: Path, flux_tensors: State) -> None:
    bare = written(folder / "bare.safetensors", flow.without(flux_tensors, f"{flow.TEXT}t5xxl."))
    one, other = (pictures(told(Renderer("cpu"), job(path, shots=[SHOT])))[0] for path in (bare, flux))
    assert pixels(one).shape == pixels(other).shape
    assert one != other


@pytest.mark.parametrize("lack", ["no tokenizer", "no encoder", "of another width", "not a tokenizer", "no folder"])
def test_a_folder_that_lacks_something_is_said_to(
    folder: Path, tmp_path: Path, flux_tensors: State, lack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = flow.t5_dir(tmp_path / "t5", encoder=lack != "no encoder", width=128 if lack == "of another width" else flow.JOINT)
    if lack == "no tokenizer":
        (there / "tokenizer.json").unlink()
    if lack == "not a tokenizer":
        (there / "tokenizer.json").write_text("[]")
    monkeypatch.setenv("WEIGH_T5_DIR", str(tmp_path / "nowhere" if lack == "no folder" else there))
    error = refused(written(folder / "bare.safetensors", flow.without(flux_tensors, f"{flow.TEXT}t5xxl.")))
    assert error.code == "render:needs-t5"
    assert "set WEIGH_T5_DIR" in error.sentence


@on_linux
def test_the_locked_child_reads_the_folder_that_it_is_lent(flux: Path, t5: Path, render_child: Engine) -> None:
    events: list[Event] = []
    wanted, _ = job(flux, shots=[SHOT])
    with flux.open("rb") as file:
        render_child.render(wanted, [file.fileno()], events.append)
    assert pictures(events)[0] == pictures(told(Renderer("cpu"), job(flux, shots=[SHOT])))[0]


def test_nobody_is_lent_a_folder_that_is_not_named() -> None:
    assert for_child(None) == ((), {})


PUBLISHED = {
    "SD 3 medium": (1536, 192, {"blocks": 24}, 2_028_328_000),
    "SD 3.5 medium": (1536, 384, {"blocks": 24, "rms": True, "dual": 13}, 2_243_171_520),
    "SD 3.5 large": (2432, 192, {"blocks": 38, "rms": True}, 8_056_627_520),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_models_of_sd3_are_found_by_their_shapes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    width, grid, build, count = PUBLISHED[name]
    for constant, value in (("WIDTH", width), ("GRID", grid), ("JOINT", 4096)):
        monkeypatch.setattr(flow, constant, value)
    texts = {**flow.clip_of("clip_l", 768, 12), **flow.clip_of("clip_g", 1280, 32)}
    layout = {**flow.sd3_layout(pooled=768 + 1280, **build), **flow.vae16(), **texts}
    found = describe(layout)
    with torch.device("meta"):
        module = SD3Transformer2DModel(**found.unet)
    wanted = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    sources = sd3_sources(wanted, flow.U, found.unet["num_layers"])
    check("transformer", wanted, sources, layout)
    check_used(flow.U, (source.name for source in sources.values()), layout)
    assert sum(parameter.numel() for parameter in module.parameters()) == count
    assert (found.family, found.native_size, found.vae_scale, found.vae_shift) == ("sd3", 1024, 1.5305, 0.0609)


def test_a_transformer_of_other_patches_is_refused(sd3_tensors: State) -> None:
    layout = {name: tuple(one.shape) for name, one in sd3_tensors.items()}
    layout[f"{flow.U}x_embedder.proj.weight"] = (flow.WIDTH, 4, 4, 4)
    with pytest.raises(FormatError, match="squares of 4 latents"):
        describe(layout)
