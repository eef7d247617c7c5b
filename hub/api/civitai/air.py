"""AIR, the name by which tools of the Civitai world call one version: `urn:air:sd1:checkpoint:civitai:12@34`. Text only, no lookups.

The source is `civitai` although the ids are this hub's: the programs that read AIRs know no other.
"""

from __future__ import annotations

from hub.api.civitai import basemodels

TYPES = {
    "AestheticGradient": "ag",
    "Checkpoint": "checkpoint",
    "CLIP": "clip",
    "CLIPVision": "clipvision",
    "Controlnet": "controlnet",
    "DoRA": "dora",
    "Hypernetwork": "hypernet",
    "LoCon": "lycoris",
    "LORA": "lora",
    "MotionModule": "motion",
    "TextEncoder": "text_encoders",
    "TextualInversion": "embedding",
    "UNet": "unet",
    "Upscaler": "upscaler",
    "VAE": "vae",
}
"""ModelType -> the word of an AIR (civitai/civitai shared/utils/air.ts); "other" for the rest."""


def name(base_model: str, model_type: str, model_id: int, version_id: int, file_id: int | None = None) -> str:
    """The AIR of a version, with `file_id` of that file of it."""
    air = f"urn:air:{basemodels.ecosystem_of(base_model)}:{TYPES.get(model_type, 'other')}:civitai:{model_id}@{version_id}"
    return air if file_id is None else f"{air}+{file_id}"
