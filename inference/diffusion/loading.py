"""Models from mapped weights: builds the parts without memory, checks the file against them, then moves each tensor once.

What the parts are is said by `families`, where tensors lie by `keys`. Nothing is fetched and nothing is rendered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from inference.diffusion.families import Architecture, describe
from inference.diffusion.keys import Source, Sources, check, check_used, text_sources, unet_sources, vae_sources
from inference.diffusion.prediction import probe
from inference.diffusion.textencoder import TextEncoder, empty_encoder, give_positions
from inference.diffusion.unetconfig import PREFIX
from inference.diffusion.vaeconfig import vae_config, vae_prefix
from inference.diffusion.weightfile import WeightFile, elements, moved
from registry.formats.dtypes import FLOATS
from registry.formats.errors import FormatError

CPU_FLOAT32_BYTES = 6 << 30
"""Models that would be larger than this in float32 are loaded as bfloat16 on a CPU: SD 2.1 takes 5.2 GB, SDXL would take 13.9."""

Module = TypeVar("Module", bound=torch.nn.Module)


@dataclass(slots=True)
class Model:
    """A checkpoint in memory. `dtype` is that of UNet and text encoders; the autoencoder may be wider (`vae.dtype`).

    Of SD 3 and Flux `unet` is the transformer, and `t5` the third text encoder (`t5.T5`), where there is one.
    """

    architecture: Architecture
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    encoders: list[TextEncoder]
    scheduler_config: dict[str, Any]
    prediction: str
    device: torch.device
    dtype: torch.dtype
    t5: Any = None
    fast: Any = None
    """What is called in the UNet's place while it is set: compiled code (`compiled.Fast`)."""


@dataclass(frozen=True, slots=True)
class Part(Generic[Module]):
    """A module without memory, and where its parameters lie in which file."""

    what: str
    module: Module
    sources: Sources
    weights: WeightFile

    def check(self) -> None:
        """Raises `FormatError` unless the file has every parameter, in its shape, as numbers that can be rendered from."""
        wanted = {name: tuple(tensor.shape) for name, tensor in self.module.state_dict().items()}
        check(self.what, wanted, self.sources, self.weights.shapes)
        odd = next((source.name for source in self.sources.values() if self.weights.dtypes[source.name] not in FLOATS), None)
        if odd is not None:
            told = f"{odd[:200]} is of type {self.weights.dtypes[odd]}; upload the weights as fp16, bf16 or fp32."
            raise FormatError("render:element-type", told)

    def fill(self, device: torch.device, dtype: torch.dtype) -> None:
        """Gives the module its parameters, each moved on its own, so that no part is in memory twice."""
        state = {name: _parameter(self.weights, source, device, dtype) for name, source in self.sources.items()}
        self.module.load_state_dict(state, strict=True, assign=True)
        self.module.requires_grad_(False).eval()


def load_model(
    weights: WeightFile,
    *,
    device: torch.device | str,
    dtype: torch.dtype | None = None,
    prediction: str | None = None,
    ema: bool = False,
    vae: WeightFile | None = None,
) -> Model:
    """The checkpoint on `device`. `prediction` is a person's word; `ema` takes the UNet's running averages where the file has them;
    `vae` is a file whose autoencoder takes the place of the checkpoint's own.

    `dtype` None: on a GPU as most of the UNet is stored (float32 as float16), on a CPU float32, or bfloat16 above `CPU_FLOAT32_BYTES`.
    Raises `FormatError` with a "render:" code before anything large is allocated.
    """
    device = torch.device(device)
    architecture = describe(weights.shapes, weights.metadata, prediction)
    if architecture.is_flow:
        raise ValueError("SD 3 and Flux are loaded by flowloading")
    unet, encoders = _unet_part(weights, architecture, ema), [empty_encoder(config) for config in architecture.text_encoders]
    texts = [
        Part("text encoder", encoder.model, text_sources(names_of(encoder.model), config), weights)
        for encoder, config in zip(encoders, architecture.text_encoders, strict=True)
    ]
    decoder = vae_part(vae or weights, architecture)
    parts: list[Part[Any]] = [unet, *texts]
    for part in (*parts, decoder):
        part.check()
    dtype = dtype or default_dtype(weights, {source.name for part in parts for source in part.sources.values()}, device)
    for part in parts:
        part.fill(device, dtype)
    decoder.fill(device, vae_dtype(architecture, dtype))
    for encoder in encoders:
        give_positions(encoder, device)
    known = architecture.prediction
    if known is None:
        known = probe(unet.module, encoders[0])
        architecture = describe(weights.shapes, weights.metadata, known)
    return Model(architecture, unet.module, decoder.module, encoders, architecture.scheduler, known, device, dtype)


def load_vae(weights: WeightFile, like: Model) -> AutoencoderKL:
    """The autoencoder of a VAE file (or of a checkpoint), for `like`: on its device, with its family's scale.

    Raises `FormatError` for what is no autoencoder, or has other latents than the model's.
    """
    part = vae_part(weights, like.architecture)
    part.check()
    part.fill(like.device, vae_dtype(like.architecture, like.dtype))
    return part.module


def default_dtype(weights: WeightFile, names: set[str], device: torch.device) -> torch.dtype:
    """The type in which the tensors of these names are loaded where nobody says; never float16 on a CPU, which is 20 times slower there."""
    if device.type == "cpu":
        return torch.bfloat16 if 4 * elements(weights.shapes, names) > CPU_FLOAT32_BYTES else torch.float32
    by_type = {kind: elements(weights.shapes, {name for name in names if weights.dtypes[name] == kind}) for kind in FLOATS}
    stored = max(by_type, key=lambda kind: by_type[kind])
    return torch.bfloat16 if stored == "BF16" and torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def vae_dtype(architecture: Architecture, dtype: torch.dtype) -> torch.dtype:
    """SDXL's autoencoder overflows in float16 and gives black pictures: it is kept in float32 then (335 MB)."""
    return torch.float32 if architecture.is_sdxl and dtype == torch.float16 else dtype


def _unet_part(weights: WeightFile, architecture: Architecture, ema: bool) -> Part[UNet2DConditionModel]:
    with torch.device("meta"):
        module = UNet2DConditionModel(**architecture.unet)
    names = names_of(module)
    own = unet_sources(names, PREFIX)
    check_used(PREFIX, (source.name for source in own.values()), weights.shapes)
    averaged = ema and architecture.has_ema
    return Part("UNet", module, unet_sources(names, PREFIX, ema=True) if averaged else own, weights)


def vae_part(weights: WeightFile, architecture: Architecture) -> Part[AutoencoderKL]:
    """The autoencoder, as the file's tensors say that it is, with the scale of the model's family."""
    prefix = vae_prefix(weights.shapes)
    if prefix is None:
        raise FormatError(
            "render:no-vae", "There is no VAE in the file. Upload the checkpoint with its VAE, or name a VAE to render it with."
        )
    config: Mapping[str, Any] = vae_config(weights.shapes, prefix)
    if config["latent_channels"] != architecture.latent_channels:
        told = f"The VAE has {config['latent_channels']} latent channels, and the model has {architecture.latent_channels}."
        raise FormatError("render:other-latents", told)
    with torch.device("meta"):
        module = AutoencoderKL(**config, **_vae_range(architecture), sample_size=architecture.native_size)
    levels = len(config["block_out_channels"])
    return Part("VAE", module, vae_sources(names_of(module), weights.shapes, prefix, levels), weights)


def _vae_range(architecture: Architecture) -> dict[str, Any]:
    """By what latents are moved and scaled."""
    return {"scaling_factor": architecture.vae_scale, "shift_factor": architecture.vae_shift or None}


def names_of(module: torch.nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]


def _parameter(weights: WeightFile, source: Source, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """One parameter on the device. What is to be done to its shape is done on the mapped tensor, which costs nothing.

    Convolutions lie channels-last on a GPU, as tensor cores read them.
    """
    tensor = weights.view(source.name)
    if source.third is not None:
        tensor = tensor.chunk(3)[source.third]
    if source.rows is not None:
        tensor = tensor[slice(*source.rows)]
    if source.swapped:
        tensor = torch.cat(tensor.chunk(2)[::-1])
    if source.turned:
        tensor = tensor.T
    if source.flat and tensor.ndim > 2:
        tensor = tensor.flatten(1)
    there = moved(tensor, device, dtype)
    last = device.type == "cuda" and there.ndim == 4
    return there.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
