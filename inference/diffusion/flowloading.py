"""SD 3 and Flux from mapped weights: transformer, autoencoder, CLIP, T5, checked before they are allocated. Others: `loading`."""

from __future__ import annotations

from typing import Any, cast

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

from inference.diffusion.families import FLOW, Architecture, describe
from inference.diffusion.flowfamilies import FLUX, PREFIX, SD3
from inference.diffusion.flowkeys import clip_sources, flux_sources, sd3_sources
from inference.diffusion.keys import check_used
from inference.diffusion.loading import Model, Part, default_dtype, names_of, vae_part
from inference.diffusion.t5 import t5_part
from inference.diffusion.t5folder import NEEDS_T5
from inference.diffusion.textencoder import empty_encoder, give_positions
from inference.diffusion.weightfile import WeightFile
from registry.formats.errors import FormatError


def load_flow(weights: WeightFile, *, device: torch.device | str, dtype: torch.dtype | None = None, vae: WeightFile | None = None) -> Model:
    """The checkpoint on `device`; `vae` is a file whose autoencoder takes the place of the checkpoint's own. Types as `load_model` has
    them, but that Flux is loaded as bfloat16 on a GPU that has it: it overflows in float16.

    Raises FormatError with a "render:" code before anything large is allocated.
    """
    device = torch.device(device)
    architecture = describe(weights.shapes, weights.metadata)
    transformer, encoders = _transformer_part(weights, architecture), [empty_encoder(config) for config in architecture.text_encoders]
    texts = [
        Part("text encoder", encoder.model, clip_sources(names_of(encoder.model), config), weights)
        for encoder, config in zip(encoders, architecture.text_encoders, strict=True)
    ]
    t5 = t5_part(weights, architecture.t5, architecture.unet["joint_attention_dim"])
    if t5 is None and architecture.family == FLUX:
        raise FormatError("render:needs-t5", NEEDS_T5)
    decoder = vae_part(vae or weights, architecture)
    parts: list[Part[Any]] = [transformer, *texts]
    for part in (*parts, decoder, *([t5.part] if t5 else [])):
        part.check()
    dtype = dtype or _dtype(weights, {source.name for part in parts for source in part.sources.values()}, device, architecture)
    for part in (*parts, decoder):
        part.fill(device, dtype)
    for encoder in encoders:
        give_positions(encoder, device)
    heard = t5.filled(device, dtype) if t5 else None
    unet = cast(Any, transformer.module)
    return Model(architecture, unet, decoder.module, encoders, architecture.scheduler, FLOW, device, dtype, heard)


def _transformer_part(weights: WeightFile, architecture: Architecture) -> Part[Any]:
    config = architecture.unet
    with torch.device("meta"):
        module: Any = (SD3Transformer2DModel if architecture.family == SD3 else FluxTransformer2DModel)(**config)
    names = list(module.state_dict())
    if architecture.family == SD3:
        sources = sd3_sources(names, PREFIX, config["num_layers"])
    else:
        sources = flux_sources(names, PREFIX, config["num_attention_heads"] * config["attention_head_dim"])
    part = Part("transformer", module, sources, weights)
    part.check()
    check_used(PREFIX, (source.name for source in sources.values()), weights.shapes)
    return part


def _dtype(weights: WeightFile, names: set[str], device: torch.device, architecture: Architecture) -> torch.dtype:
    if architecture.family == FLUX and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return default_dtype(weights, names, device)
