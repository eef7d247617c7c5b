"""Which base model a file belongs to, in Civitai's spellings: the tables by kind, and what lies beyond them (descendants, twins).

The rows are in `models` and `addons`; within a kind they exclude each other, so that their order says nothing.
"""

from __future__ import annotations

from registry.identify.addons import (
    AUTOENCODERS,
    CONTROLNETS,
    EMBEDDINGS,
    HYPERNETWORKS,
    IP_ADAPTERS,
    LORAS,
    MOTION_MODULES,
    T2I_ADAPTERS,
)
from registry.identify.basis import Base
from registry.identify.models import MODELS, VARIANTS

__all__ = ["ALTERNATIVES", "DESCENT", "TABLES", "VARIANTS", "Base"]

TABLES: dict[str, tuple[Base, ...]] = {
    "checkpoint": MODELS,
    "unet": MODELS,
    "lora": LORAS,
    "controlnet": CONTROLNETS,
    "t2i_adapter": T2I_ADAPTERS,
    "ip_adapter": IP_ADAPTERS,
    "motion_module": MOTION_MODULES,
    "embedding": EMBEDDINGS,
    "vae": AUTOENCODERS,
    "hypernetwork": HYPERNETWORKS,
}

DESCENT: dict[str, tuple[tuple[str, str], ...]] = {
    "SDXL": (("pony", "Pony"), ("noob", "NoobAI"), ("illustrious", "Illustrious")),
    "Flux.1": (("kontext", "Flux.1 Kontext"), ("flux1-krea", "Flux.1 Krea"), ("schnell", "Flux.1 S")),
    "AuraFlow": (("pony", "Pony V7"),),
}
"""Descendants that have a name of their own as a base, by a word of that name: no tensor tells them, the trainer's metadata may."""

ALTERNATIVES: dict[tuple[str, str], tuple[str, ...]] = {
    ("SD 1.x", "SD 1.5"): ("SD 1.4", "SD 1.5", "SD 1.5 LCM", "SD 1.5 Hyper"),
    ("SD 2.x", "SD 2.1"): ("SD 2.0", "SD 2.0 768", "SD 2.1", "SD 2.1 768"),
    ("SDXL", "SDXL 1.0"): (
        "SDXL 0.9", "SDXL 1.0", "SDXL 1.0 LCM", "SDXL Turbo", "SDXL Lightning", "SDXL Hyper", "Pony", "Illustrious", "NoobAI",
    ),
    ("SDXL Refiner", "SDXL 1.0"): ("SDXL 0.9", "SDXL 1.0"),
    ("SVD", "SVD"): ("SVD", "SVD XT"),
    ("SD 3", "SD 3"): ("SD 3", "SD 3.5", "SD 3.5 Medium"),
    ("SD 3.5", "SD 3.5 Large"): ("SD 3.5", "SD 3.5 Large", "SD 3.5 Large Turbo"),
    ("SD 3.5", "SD 3.5 Medium"): ("SD 3.5", "SD 3.5 Medium"),
    ("Flux.1", "Flux.1 D"): ("Flux.1 D", "Flux.1 Krea", "Flux.1 Kontext"),
    ("Flux.2", "Flux.2 Klein 9B"): ("Flux.2 Klein 9B", "Flux.2 Klein 9B-base"),
    ("Flux.2", "Flux.2 Klein 4B"): ("Flux.2 Klein 4B", "Flux.2 Klein 4B-base"),
    ("AuraFlow", "AuraFlow"): ("AuraFlow", "Pony V7"),
    ("Z-Image", "ZImageTurbo"): ("ZImageTurbo", "ZImageBase"),
    ("Wan Video", "Wan Video 14B t2v"): ("Wan Video", "Wan Video 14B t2v", "Wan Video 2.2 T2V-A14B"),
    ("Wan Video", "Wan Video 14B i2v 720p"): ("Wan Video", "Wan Video 14B i2v 480p", "Wan Video 14B i2v 720p"),
    ("Wan Video", "Wan Video 1.3B t2v"): ("Wan Video", "Wan Video 1.3B t2v"),
    ("Wan Video", "Wan Video 2.2 I2V-A14B"): ("Wan Video", "Wan Video 2.2 I2V-A14B"),
    ("Wan Video", "Wan Video 2.2 TI2V-5B"): ("Wan Video", "Wan Video 2.2 TI2V-5B"),
    ("Qwen", "Qwen"): ("Qwen", "Qwen 2"),
    ("LTX-Video", "LTXV2"): ("LTXV2", "LTXV 2.3"),
    ("PixArt", "PixArt E"): ("PixArt E",),
}  # fmt: skip
"""(family, suggested base) -> all names, in Civitai's spellings, whose models have the same tensors."""
