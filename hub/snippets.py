"""How a version is loaded in Python, line by line: diffusers and huggingface_hub. For pages and repository cards; fetches nothing itself.

The client tests make the same calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from registry.models import Kind

PUBLIC = "https://huggingface.co"
"""What diffusers' `from_single_file` takes for the Hub's address whatever `HF_ENDPOINT` says; it asks the endpoint then."""
PICTURE = 'pipe("PROMPT").images[0].save("picture.png")'
PIPELINES = {
    "sd1": "StableDiffusionPipeline",
    "sd1-inpaint": "StableDiffusionInpaintPipeline",
    "sd1-pix2pix": "StableDiffusionInstructPix2PixPipeline",
    "sd2-base": "StableDiffusionPipeline",
    "sd2-v": "StableDiffusionPipeline",
    "sd2-inpaint": "StableDiffusionInpaintPipeline",
    "sdxl": "StableDiffusionXLPipeline",
    "sdxl-inpaint": "StableDiffusionXLInpaintPipeline",
    "sdxl-refiner": "StableDiffusionXLImg2ImgPipeline",
}
"""Family of `families.json` -> the pipeline of the published model."""
BASE = "CHECKPOINT"
"""Stands for a checkpoint of the add-on's family, which the reader chooses."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the lines are made of. `path` is the primary safetensors file, "" where there is none; `pipeline` is set for checkpoints
    that come with configurations; `words` are trigger words, `weight` the recommended strength."""

    repo: str
    revision: str
    kind: str
    path: str
    endpoint: str
    pipeline: str = ""
    words: tuple[str, ...] = ()
    weight: float | None = None


def python_lines(use: Usage) -> list[str]:
    """Loading it with diffusers; empty for kinds that diffusers does not load by name."""
    if not use.path:
        return []
    writers = {Kind.CHECKPOINT.value: _checkpoint, Kind.LORA.value: _lora, Kind.EMBEDDING.value: _embedding}
    writer = writers.get(use.kind)  # which may be what tensors prove and no creator declares, as "unet"
    return writer(use) if writer else []


def fetching_lines(use: Usage) -> list[str]:
    """Fetching one file into the cache, and its place on this machine: for whatever takes a path."""
    call = f"hf_hub_download({literal(use.repo)}, {literal(use.path)}, revision={literal(use.revision)})"
    return ["from huggingface_hub import hf_hub_download", "", f"path = {call}"]


def _checkpoint(use: Usage) -> list[str]:
    if not use.pipeline:
        return []
    address = f"{PUBLIC}/{use.repo}/blob/main/{use.path}"
    return [
        f"from diffusers import {use.pipeline}",
        "",
        f"pipe = {use.pipeline}.from_single_file(",
        f"    {literal(address)}, config={literal(use.repo)}, revision={literal(use.revision)}",
        ")",
        *([PICTURE] if use.pipeline in ("StableDiffusionPipeline", "StableDiffusionXLPipeline") else []),
    ]


def _lora(use: Usage) -> list[str]:
    strength = [f"pipe.set_adapters(['default_0'], adapter_weights=[{use.weight:g}])"] if use.weight not in (None, 1.0) else []
    load = f"pipe.load_lora_weights({literal(use.repo)}, weight_name={literal(use.path)}, revision={literal(use.revision)})"
    return [*_on_base(), load, *strength, PICTURE]


def _embedding(use: Usage) -> list[str]:
    word = use.words[0] if use.words else "WORD"
    names = f"weight_name={literal(use.path)}, token={literal(word)}, revision={literal(use.revision)}"
    return [
        *_on_base(),
        f"pipe.load_textual_inversion({literal(use.repo)}, {names})",
        PICTURE.replace("PROMPT", "PROMPT with the trigger word"),
    ]


def _on_base() -> list[str]:
    return ["from diffusers import DiffusionPipeline", "", f'pipe = DiffusionPipeline.from_pretrained("{BASE}")']


def literal(value: str | list[str]) -> str:
    """A literal of Python: JSON's is one for texts and lists of them."""
    return json.dumps(value, ensure_ascii=False)
