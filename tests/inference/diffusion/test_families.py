"""Families, configurations and schedules, read off names and shapes: the published models' to the number, narrow ones by the same rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from inference.diffusion.families import MAX_TENSORS, describe
from registry.formats.errors import FormatError
from samples.layout import Widths, sd1, vae
from tests.inference.diffusion.published import TEXTS, UNETS, VAE
from tests.registry.identify import transformers as T
from tests.registry.identify import unets as N
from tests.registry.identify.tables import Keys, prefixed, shapes
from tests.registry.identify.unets import U

Shapes = dict[str, tuple[int, ...]]


def whole(unet: Keys, *texts: Keys) -> Shapes:
    return shapes({**unet, **N.autoencoder(), **{name: info for text in texts for name, info in text.items()}})


def sd1_shapes(**changes: int) -> Shapes:
    return whole(N.unet(N.SD1, **changes), N.clip_l("cond_stage_model.transformer."))


def sd2_shapes(layers: int = 24, **changes: int) -> Shapes:
    return whole(N.unet(N.SD2, **changes), N.open_clip("cond_stage_model.model.", 1024, layers))


def sdxl_shapes(shape: N.Shape = N.SDXL, **changes: int) -> Shapes:
    texts = N.clip_l("conditioner.embedders.0.transformer."), N.open_clip("conditioner.embedders.1.model.", 1280, 32)
    return whole(N.unet(shape, **changes), *texts)


def refiner_shapes() -> Shapes:
    return whole(N.unet(N.REFINER), N.open_clip("conditioner.embedders.0.model.", 1280, 32))


PUBLISHED: dict[str, tuple[Callable[[], Shapes], str | None, int, float]] = {
    "sd1": (sd1_shapes, "epsilon", 512, 0.18215),
    "sd1-inpaint": (lambda: sd1_shapes(channels=9), "epsilon", 512, 0.18215),
    "sd1-pix2pix": (lambda: sd1_shapes(channels=8), "epsilon", 512, 0.18215),
    "sd2-base": (sd2_shapes, None, 512, 0.18215),
    "sd2-v": (lambda: {**sd2_shapes(), "v_pred": (0,)}, "v_prediction", 768, 0.18215),
    "sd2-inpaint": (lambda: sd2_shapes(channels=9), "epsilon", 512, 0.18215),
    "sdxl": (sdxl_shapes, "epsilon", 1024, 0.13025),
    "sdxl-inpaint": (lambda: sdxl_shapes(channels=9), "epsilon", 1024, 0.13025),
    "sdxl-refiner": (refiner_shapes, "epsilon", 1024, 0.13025),
}


def filled(model: type, given: dict[str, Any]) -> dict[str, Any]:
    """A configuration with diffusers' defaults where it says nothing; tuples and lists are the same."""
    told = {name: one.default for name, one in inspect.signature(model.__init__).parameters.items() if one.default is not one.empty}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in {**told, **given}.items()}


@pytest.mark.parametrize("family", PUBLISHED)
def test_published_configurations_are_found_from_shapes(family: str) -> None:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    build, prediction, size, scale = PUBLISHED[family]
    found = describe(build())
    assert (found.family, found.prediction, found.native_size, found.vae_scale) == (family, prediction, size, scale)
    assert filled(UNet2DConditionModel, found.unet) == filled(UNet2DConditionModel, UNETS[family])
    assert found.vae is not None
    assert filled(AutoencoderKL, found.vae) == filled(AutoencoderKL, {**VAE, "scaling_factor": scale, "sample_size": size})
    texts = TEXTS.get(family) or TEXTS[family.partition("-")[0]]
    assert [text.for_transformers() for text in found.text_encoders] == texts


@pytest.mark.parametrize(("family", "pads"), [("sd1", [49407]), ("sd2-base", [0]), ("sdxl", [49407, 0]), ("sdxl-refiner", [0])])
def test_short_texts_are_filled_up_as_each_encoder_was_trained(family: str, pads: list[int]) -> None:
    assert [text.pad for text in describe(PUBLISHED[family][0]()).text_encoders] == pads


def test_the_noise_schedule_is_that_of_latent_diffusion() -> None:
    schedule = describe(sd1_shapes()).scheduler
    assert (schedule["beta_start"], schedule["beta_end"], schedule["beta_schedule"]) == (0.00085, 0.012, "scaled_linear")
    assert (schedule["prediction_type"], schedule["rescale_betas_zero_snr"], schedule["steps_offset"]) == ("epsilon", False, 1)


def test_sdxl_with_velocity_and_zero_snr_is_told_by_its_marks() -> None:
    found = describe({**sdxl_shapes(), "v_pred": (0,), "ztsnr": (0,)})
    assert (found.family, found.prediction, found.native_size) == ("sdxl", "v_prediction", 1024)
    assert (found.scheduler["prediction_type"], found.scheduler["rescale_betas_zero_snr"]) == ("v_prediction", True)


@pytest.mark.parametrize(
    ("metadata", "said", "prediction", "family"),
    [
        ({"modelspec.prediction_type": "v"}, None, "v_prediction", "sd2-v"),
        ({"modelspec.prediction_type": "epsilon"}, None, "epsilon", "sd2-base"),
        ({"ss_v_parameterization": "True"}, None, "v_prediction", "sd2-v"),
        ({"modelspec.prediction_type": "v"}, "epsilon", "epsilon", "sd2-base"),
        ({}, "v_prediction", "v_prediction", "sd2-v"),
        ({"modelspec.prediction_type": "sunny"}, None, None, "sd2-base"),
    ],
)
def test_a_person_outweighs_metadata_on_what_is_predicted(
    metadata: dict[str, str], said: str | None, prediction: str | None, family: str
) -> None:
    found = describe(sd2_shapes(), metadata, said)
    assert (found.prediction, found.family) == (prediction, family)


def test_sd2_without_its_unused_layer_loses_no_other() -> None:
    assert describe(sd2_shapes(layers=24)).text_encoders[0].layers == describe(sd2_shapes(layers=23)).text_encoders[0].layers == 23


def test_narrow_models_follow_the_same_rules() -> None:
    found = describe(sd1(Widths(unet=(64, 64, 64, 64), vae=(32, 32, 64, 64), clip=64, clip_layers=3)))
    assert (found.unet["attention_head_dim"], found.unet["norm_num_groups"], found.native_size) == (2, 8, 128)
    assert found.vae is not None
    assert (found.vae["norm_num_groups"], found.text_encoders[0].heads, found.text_encoders[0].layers) == (8, 1, 3)


@pytest.mark.parametrize("shape", [N.SSD_1B, N.VEGA, N.KOALA_700M, N.KOALA_1B], ids=["SSD-1B", "Vega", "KOALA 700M", "KOALA 1B"])
def test_shortened_sdxl_models_are_built_as_they_are(shape: N.Shape) -> None:
    import torch
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from inference.diffusion.keys import check, check_used, unet_sources

    stored = sdxl_shapes(shape)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**describe(stored).unet)
    wanted = {name: tuple(one.shape) for name, one in unet.named_parameters()}
    sources = unet_sources(wanted, U)
    check("UNet", wanted, sources, stored)
    check_used(U, (source.name for source in sources.values()), stored)


def test_averages_and_a_missing_vae_are_noticed() -> None:
    plain = describe(sd1_shapes())
    assert (plain.has_vae, plain.has_ema, plain.has_text_encoder) == (True, False, True)
    assert describe({**sd1_shapes(), "model_ema.diffusion_modelinput_blocks00weight": (320, 4, 3, 3)}).has_ema
    assert not describe({name: shape for name, shape in sd1_shapes().items() if not name.startswith("first_stage_model.")}).has_vae


def without(stored: Shapes, prefix: str) -> Shapes:
    return {name: shape for name, shape in stored.items() if not name.startswith(prefix)}


REFUSED: dict[str, tuple[Callable[[], Shapes], str]] = {
    "a VAE alone": (lambda: dict(vae("", Widths((8,) * 4, (8,) * 4, 8))), "render:no-model"),
    "nothing": (dict, "render:no-model"),
    "no text encoder": (lambda: without(sd1_shapes(), "cond_stage_model."), "render:no-text-encoder"),
    "another family's text encoder": (lambda: sd1_shapes(context=1024), "render:parts-differ"),
    "other sizes beside the time": (lambda: sdxl_shapes(labels=2560), "render:parts-differ"),
    "no sizes beside the time": (lambda: without(sdxl_shapes(), f"{U}label_emb."), "render:family"),
    "a depth model": (lambda: sd2_shapes(channels=5), "render:family"),
    "an upscaler": (lambda: whole(N.unet(N.X4), N.open_clip("cond_stage_model.model.", 1024, 24)), "render:family"),
    "a noise schedule of its own": (lambda: {**sdxl_shapes(), "edm_mean": (1, 4, 1, 1), "edm_std": (1, 4, 1, 1)}, "render:family"),
    "packed weights": (lambda: {**sd1_shapes(), f"{U}input_blocks.0.0.scale_weight": (1,)}, "render:quantised"),
    "a small vocabulary": (lambda: sd1(Widths((64,) * 4, (32,) * 4, 64, vocabulary=512)), "render:text-layout"),
    "a missing layer of the text encoder": (
        lambda: without(sd1_shapes(), "cond_stage_model.transformer.text_model.encoder.layers.5."),
        "render:text-layout",
    ),
    "blocks in the middle missing": (lambda: without(sd1_shapes(), f"{U}input_blocks.4."), "render:layout"),
    "no blocks at all": (lambda: {f"{U}input_blocks.0.0.weight": (320, 4, 3, 3)}, "render:layout"),
    "more channels than machines have memory": (
        lambda: {**sd1_shapes(), f"{U}input_blocks.1.0.in_layers.2.weight": (1 << 40, 0, 3, 3)},
        "render:layout",
    ),
    "a dimension of none": (lambda: {**sd1_shapes(), f"{U}out.2.weight": (0, 320, 3, 3)}, "render:layout"),
    "channels that do not divide into groups": (lambda: sd1(Widths((100,) * 4, (32,) * 4, 64)), "render:layout"),
    "an endless row of transformers": (
        lambda: sd1_shapes() | {f"{U}input_blocks.1.1.transformer_blocks.{n}.attn1.to_q.weight": (1, 1) for n in range(1000)},
        "render:layout",
    ),
    "too many tensors": (lambda: {str(number): () for number in range(MAX_TENSORS + 1)}, "render:too-many-tensors"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_rendered_is_refused_in_words(case: str) -> None:
    build, code = REFUSED[case]
    with pytest.raises(FormatError) as refused:
        describe(build())
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")


FLOW = {
    "SD 3": (T.sd3(1536, 2), "render:no-text-encoder", "CLIP-L and CLIP-G"),
    "Flux": (T.FLUX_DEV, "render:needs-t5", "set WEIGH_T5_DIR"),
}


@pytest.mark.parametrize("case", FLOW)
@pytest.mark.parametrize("prefix", [U, ""])
def test_transformers_alone_are_refused_for_what_they_lack(case: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEIGH_T5_DIR", raising=False)
    layout, code, words = FLOW[case]
    with pytest.raises(FormatError, match=words) as refused:
        describe(shapes(prefixed(prefix, layout)))
    assert refused.value.code == code


def test_nothing_here_loads_torch() -> None:
    import subprocess
    import sys

    modules = "inference.diffusion.families, inference.diffusion.keys, inference.diffusion.tokenizer"
    code = f"import sys, {modules}; inference.diffusion.tokenizer.ClipTokenizer().encode('a')"
    subprocess.run([sys.executable, "-c", f"{code}; assert not {{'torch', 'transformers'}} & sys.modules.keys()"], check=True)
