"""Configurations of published models, served under the ids by which diffusers asks for them. There are no weights of theirs here.

`from_single_file` without `config=` fetches the folder of a published model: the table DIFFUSERS_DEFAULT_PIPELINE_PATHS in diffusers'
`loaders/single_file_utils.py`, older releases' names included. A creator's own repository of that id comes before. Values: the
published models' configurations, which tests compare with what their shapes say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from hub.api.huggingface import configs
from inference.diffusion.families import EPSILON, TABLE, VELOCITY, Architecture
from inference.diffusion.textconfig import VOCABULARY, TextEncoderConfig
from registry.commits import Row, text_row

SINCE = datetime(2026, 11, 22, tzinfo=UTC)
"""When these tables were written: the date that clients are shown."""


@dataclass(frozen=True, slots=True)
class VirtualRepo:
    """A repository that lies in no table of ours. `contents` are bytes by path, `rows` the same as a tree; `sha` names exactly these."""

    namespace: str
    name: str
    sha: str
    contents: Mapping[str, bytes]
    rows: tuple[Row, ...]

    @property
    def repo_id(self) -> str:
        return f"{self.namespace}/{self.name}"


def find(namespace: str, name: str) -> VirtualRepo | None:
    """The configurations under this id; None for every other id."""
    family = FAMILIES.get(f"{namespace}/{name}")
    return _repo(namespace, name, family) if family else None


FAMILIES = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "sd1",
    "runwayml/stable-diffusion-v1-5": "sd1",
    "CompVis/stable-diffusion-v1-4": "sd1",
    "stable-diffusion-v1-5/stable-diffusion-inpainting": "sd1-inpaint",
    "runwayml/stable-diffusion-inpainting": "sd1-inpaint",
    "timbrooks/instruct-pix2pix": "sd1-pix2pix",
    "stabilityai/stable-diffusion-2-1": "sd2-v",
    "stabilityai/stable-diffusion-2": "sd2-v",
    "stabilityai/stable-diffusion-2-1-base": "sd2-base",
    "stabilityai/stable-diffusion-2-base": "sd2-base",
    "stabilityai/stable-diffusion-2-inpainting": "sd2-inpaint",
    "stabilityai/stable-diffusion-xl-base-1.0": "sdxl",
    "stabilityai/stable-diffusion-xl-refiner-1.0": "sdxl-refiner",
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": "sdxl-inpaint",
}
"""Id at the Hub -> family of `inference.diffusion.families`. SD 3, Flux and what is no Stable Diffusion have none here."""
ABOUT = """---
library_name: diffusers
---

# Configurations only

This hub answers under this name with configurations of the published model, so that diffusers can load single files of its family
without another network. They hold no weights, and were written by the hub, not by the model's authors.
"""


@cache
def _repo(namespace: str, name: str, family: str) -> VirtualRepo:
    contents = {**configs.layout(architecture(family)), "README.md": ABOUT.encode()}
    rows = tuple(text_row(path, content) for path, content in contents.items())
    canonical = json.dumps([namespace, name, list(rows)], sort_keys=True)
    sha = hashlib.sha1(canonical.encode(), usedforsecurity=False).hexdigest()
    return VirtualRepo(namespace, name, sha, contents, rows)


CROSS_DOWN, DOWN, CROSS_UP, UP = "CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"
_PLAIN = {"out_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, "transformer_layers_per_block": 1}
_SD1 = {
    **_PLAIN, "block_out_channels": [320, 640, 1280, 1280], "attention_head_dim": 8, "cross_attention_dim": 768,
    "use_linear_projection": False, "down_block_types": [CROSS_DOWN] * 3 + [DOWN], "up_block_types": [UP] + [CROSS_UP] * 3,
}  # fmt: skip
_SD2 = {**_SD1, "attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024, "use_linear_projection": True}
_SIZES = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
_SDXL = {
    **_PLAIN, **_SIZES, "block_out_channels": [320, 640, 1280], "attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048,
    "use_linear_projection": True, "transformer_layers_per_block": [1, 2, 10], "projection_class_embeddings_input_dim": 2816,
    "down_block_types": [DOWN, CROSS_DOWN, CROSS_DOWN], "up_block_types": [CROSS_UP, CROSS_UP, UP],
}  # fmt: skip
_REFINER = {
    **_PLAIN, **_SIZES, "block_out_channels": [384, 768, 1536, 1536], "attention_head_dim": [6, 12, 24, 24], "cross_attention_dim": 1280,
    "use_linear_projection": True, "transformer_layers_per_block": 4, "projection_class_embeddings_input_dim": 2560,
    "down_block_types": [DOWN, CROSS_DOWN, CROSS_DOWN, DOWN], "up_block_types": [UP, CROSS_UP, CROSS_UP, UP],
}  # fmt: skip
UNETS: dict[str, dict[str, Any]] = {"sd1": _SD1, "sd2": _SD2, "sdxl": _SDXL, "sdxl-refiner": _REFINER}
CHANNELS = {"inpaint": 9, "pix2pix": 8}
"""Input channels, by the end of a family's name."""
VAE: dict[str, Any] = {
    "in_channels": 3, "out_channels": 3, "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4, "norm_num_groups": 32,
    "use_quant_conv": True, "use_post_quant_conv": True,
}  # fmt: skip
SIZES = {"clip-l": (768, 3072, 12, 0), "clip-h": (1024, 4096, 23, 0), "clip-g": (1280, 5120, 32, 1280)}
"""Width, width inside of a layer, layers, projection."""
TEXTS = {"sd1": ("clip-l",), "sd2": ("clip-h",), "sdxl": ("clip-l", "clip-g"), "sdxl-refiner": ("clip-g",)}


def architecture(family: str) -> Architecture:
    """The published model of a family, as `families.describe` tells it from the shapes of its weights."""
    constants = TABLE["families"][family]
    kind = family if family in UNETS else family.rpartition("-")[0]
    size, scale = constants["native_size"], constants["vae_scale"]
    prediction = constants["prediction"]
    unet = {**UNETS[kind], "in_channels": CHANNELS.get(family.rpartition("-")[2], 4), "sample_size": size // 8}
    schedule = {**TABLE["schedule"], "prediction_type": VELOCITY if prediction == VELOCITY else EPSILON, "rescale_betas_zero_snr": False}
    vae = {**VAE, "scaling_factor": scale, "sample_size": size}
    return Architecture(family, unet, vae, tuple(map(_text, TEXTS[kind])), size, schedule, prediction, scale, has_ema=False)


def _text(kind: str) -> TextEncoderConfig:
    width, inner, layers, projection = SIZES[kind]
    told = TABLE["kinds"][kind]
    return TextEncoderConfig("", "", kind, width, inner, layers, VOCABULARY, told["hidden_act"], told["pad"], projection)
