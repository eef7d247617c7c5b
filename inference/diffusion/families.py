"""What a checkpoint is to the renderer: family, configurations of its parts, noise schedule, native size. Free of torch.

Everything follows from names and shapes, and from one table of what they cannot tell (`families.json`: values of the published models'
own configurations, as diffusers and CompVis ldm ship them). It judges what can be rendered; what a file is called is `registry.identify`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.diffusion.flowfamilies import flow_family, flow_parts
from inference.diffusion.textconfig import TextEncoderConfig, text_encoders
from inference.diffusion.unetconfig import PREFIX, SIZES_EMBEDDING, unet_config
from inference.diffusion.vaeconfig import vae_config, vae_prefix
from registry.formats.errors import FormatError, LimitExceeded, Unsupported

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("families.json").read_text("utf-8"))
MAX_TENSORS = 20_000
"""SDXL with averages has 4,200."""
EPSILON, VELOCITY, FLOW = "epsilon", "v_prediction", "flow"
EMA = "model_ema."
INPAINTING, PIX2PIX = 9, 8
"""Input channels: latents, mask and masked picture; latents and the picture to be edited."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """All that is needed to build a model before its weights are read.

    `unet` and `vae` are arguments of diffusers' classes; `vae` is None in a checkpoint without one. `native_size` is in pixels,
    `vae_scale` the factor that brings latents to unit variance (after `vae_shift` was taken off). `prediction` is None where only
    a probe can tell. Of SD 3 and Flux `unet` is the transformer, and `t5` the encoder in the file, if any.
    """

    family: str
    unet: dict[str, Any]
    vae: dict[str, Any] | None
    text_encoders: tuple[TextEncoderConfig, ...]
    native_size: int
    scheduler: dict[str, Any]
    prediction: str | None
    vae_scale: float
    has_ema: bool
    has_text_encoder: bool = True
    vae_shift: float = 0.0
    t5: dict[str, Any] | None = None

    @property
    def has_vae(self) -> bool:
        return self.vae is not None

    @property
    def latent_channels(self) -> int:
        """Of what is sampled; Flux takes four latents as one token."""
        return int(self.unet["out_channels"]) // (4 if self.family == "flux" else 1)

    @property
    def is_flow(self) -> bool:
        """Whether it is a transformer trained by flow matching: SD 3, Flux."""
        return self.prediction == FLOW

    @property
    def is_sdxl(self) -> bool:
        """Whether sizes and a pooled text go into the UNet beside the time."""
        return self.family.startswith("sdxl")


def describe(shapes: Shapes, metadata: Mapping[str, str] | None = None, prediction: str | None = None) -> Architecture:
    """What the checkpoint with these tensors is; `prediction` is a person's word and outweighs the file's own.

    Raises `FormatError` with a "render:" code for what cannot be rendered; a missing VAE is no such reason yet (`has_vae`).
    """
    if len(shapes) > MAX_TENSORS:
        raise LimitExceeded("render:too-many-tensors", f"The file has more than {MAX_TENSORS} tensors; no model that is rendered has.")
    _refuse_others(shapes)
    if family := flow_family(shapes):
        return _flow(family, shapes)
    unet = unet_config(shapes)
    texts = tuple(text_encoders(shapes, TABLE["encoders"], TABLE["kinds"]))
    kind = _kind(unet, texts)
    _check_fit(kind, unet, texts)
    known = prediction or told_prediction(shapes, metadata or {})
    family = _family(kind, unet, known)
    constants = TABLE["families"][family]
    size = _native_size(unet, constants["native_size"])
    prefix = vae_prefix({name: shape for name, shape in shapes.items() if name.startswith(("first_stage_model.", "vae."))})
    vae = None if prefix is None else vae_config(shapes, prefix) | {"scaling_factor": constants["vae_scale"], "sample_size": size}
    known = known or constants["prediction"]
    schedule = TABLE["schedule"] | {"prediction_type": known or EPSILON, "rescale_betas_zero_snr": zero_snr(shapes, metadata or {})}
    ema = any(name.startswith(f"{EMA}diffusion_model") for name in shapes)
    return Architecture(
        family, unet | {"sample_size": size // 8}, vae, texts, size, schedule, known, constants["vae_scale"], ema
    )  # fmt: skip


def _flow(family: str, shapes: Shapes) -> Architecture:
    """SD 3 and Flux: there is nothing to be told of their prediction, and their steps are laid out by `scheduler`."""
    parts, constants = flow_parts(family, shapes, TABLE["kinds"]), TABLE["families"][family]
    prefix = vae_prefix({name: shape for name, shape in shapes.items() if name.startswith(("first_stage_model.", "vae."))})
    vae = None if prefix is None else vae_config(shapes, prefix) | {"scaling_factor": constants["vae_scale"]}
    return Architecture(
        family, parts.transformer, vae, parts.texts, parts.native_size, dict(constants["schedule"]), FLOW, constants["vae_scale"], False,
        vae_shift=constants["vae_shift"], t5=parts.t5,
    )  # fmt: skip


def told_prediction(shapes: Shapes, metadata: Mapping[str, str]) -> str | None:
    """What the file says that the model predicts; None if it says nothing. Marks: ComfyUI `supported_models.py`, ModelSpec, kohya."""
    if "v_pred" in shapes:
        return VELOCITY
    told = metadata.get("modelspec.prediction_type", "").strip().lower()
    if told in ("v", VELOCITY, "epsilon", "eps"):
        return VELOCITY if told.startswith("v") else EPSILON
    return {"true": VELOCITY, "false": EPSILON}.get(metadata.get("ss_v_parameterization", "").strip().lower())


def zero_snr(shapes: Shapes, metadata: Mapping[str, str]) -> bool:
    """Whether the model was trained with a schedule that ends in pure noise."""
    return "ztsnr" in shapes or metadata.get("ss_zero_terminal_snr", "").strip().lower() == "true"


OTHERS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("edm_mean", "edm_std", "edm_vpred.sigma_max"), "it has a noise schedule of its own (EDM)"),
    (("model.diffusion_model.input_blocks.1.0.time_stack.emb_layers.1.weight",), "it makes videos"),
    (("model.diffusion_model.encoder_hid_proj.weight", "encoder_hid_proj.weight"), "it reads texts with a language model (Kolors)"),
)
"""Marks of models that are not rendered, though known or laid out like a known family; and why."""
QUANTISED = (".scale_weight", ".weight_scale", "scaled_fp8", ".qweight", ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")


def _refuse_others(shapes: Shapes) -> None:
    for marks, why in OTHERS:
        if any(mark in shapes for mark in marks):
            raise Unsupported("render:family", f"This model is not rendered here: {why}.")
    packed = next((name for name in shapes if name.endswith(QUANTISED)), None)
    if packed is not None:
        raise Unsupported(
            "render:quantised", f"The weights are packed ({packed[:100]}); upload them as fp16 or bf16 to have them rendered."
        )
    if flow_family(shapes) is None and f"{PREFIX}input_blocks.0.0.weight" not in shapes:
        raise Unsupported(
            "render:no-model",
            "There is no Stable Diffusion UNet in the file: only checkpoints of SD 1.x, SD 2.x, SDXL, SD 3 and Flux are rendered.",
        )


def _kind(unet: dict[str, Any], texts: tuple[TextEncoderConfig, ...]) -> str:
    """sd1, sd2, sdxl or sdxl-refiner, by the text encoders and what goes into the UNet beside the time."""
    kinds = tuple(text.kind for text in texts)
    labelled = "addition_embed_type" in unet
    kind = {("clip-l",): "sd1", ("clip-h",): "sd2", ("clip-l", "clip-g"): "sdxl", ("clip-g",): "sdxl-refiner"}.get(kinds)
    if not kinds:
        raise FormatError(
            "render:no-text-encoder", "There is no CLIP text encoder in the file; upload the checkpoint with its text encoder."
        )
    if kind is None or labelled != kind.startswith("sdxl"):
        raise Unsupported("render:family", f"A UNet of this layout with the text encoders {', '.join(kinds)} belongs to no known family.")
    return kind


def _check_fit(kind: str, unet: dict[str, Any], texts: tuple[TextEncoderConfig, ...]) -> None:
    """Text encoders make as many numbers a token as the UNet attends to, and as many for the whole text as it takes beside sizes."""
    made = sum(text.width for text in texts)
    if made != unet["cross_attention_dim"]:
        told = (
            f"The text encoder gives {made} numbers a token, and the UNet wants {unet['cross_attention_dim']}: they do not belong together."
        )
        raise FormatError("render:parts-differ", told)
    sizes = {"sdxl": 6, "sdxl-refiner": 5}.get(kind)
    if sizes and unet["projection_class_embeddings_input_dim"] != texts[-1].projection + sizes * SIZES_EMBEDDING:
        raise FormatError(
            "render:parts-differ", "The pooled text and the UNet's label_emb do not fit each other: they do not belong together."
        )


def _family(kind: str, unet: dict[str, Any], prediction: str | None) -> str:
    channels = unet["in_channels"]
    out = 4
    if unet["out_channels"] != out:
        raise Unsupported(
            "render:family", f"The UNet gives {unet['out_channels']} channels; only models of {out} latent channels are rendered."
        )
    if channels == INPAINTING and kind != "sdxl-refiner":
        return f"{kind}-inpaint"
    if (kind, channels) == ("sd1", PIX2PIX):
        return "sd1-pix2pix"
    if channels != out:
        raise Unsupported("render:family", f"A UNet with {channels} input channels needs more than a text (a depth map, a picture).")
    if kind == "sd2":
        return "sd2-v" if prediction == VELOCITY else "sd2-base"
    return kind


def _native_size(unet: dict[str, Any], published: int) -> int:
    """Pixels that the model was made for; narrow ones are samples and tests, made for little pictures."""
    small = TABLE["small"]
    return int(small["native_size"] if unet["block_out_channels"][0] < small["below_channels"] else published)
