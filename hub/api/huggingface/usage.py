"""How a version is used, as copyable lines: fetching with `hf`, loading with diffusers. The client tests make the same calls."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from hub.api.huggingface.markdowntext import fenced
from registry.models import Kind

PUBLIC = "https://huggingface.co"
"""What diffusers' `from_single_file` takes for the Hub's address whatever `HF_ENDPOINT` says; it asks the endpoint then."""
PICTURE = 'pipe("PROMPT").images[0].save("picture.png")'
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


def lines(use: Usage) -> str:
    """The whole section in Markdown, without its heading."""
    parts = [_fetching(use)]
    python = _python(use)
    if python:
        parts += ["With diffusers, which asks this hub as long as `HF_ENDPOINT` names it:", fenced(python, "python")]
    return "\n\n".join(parts)


def _fetching(use: Usage) -> str:
    path, revision = shlex.quote(use.path or "FILE"), shlex.quote(use.revision)
    shell = [f"export HF_ENDPOINT={shlex.quote(use.endpoint)}", f"hf download {use.repo} {path} --revision {revision}"]
    snapshot = [
        "from huggingface_hub import snapshot_download",
        "",
        f"folder = snapshot_download({_py(use.repo)}, revision={_py(use.revision)}, allow_patterns={_py([use.path or 'FILE', '*.json'])})",
    ]
    many = "The repository holds every variant. Name what you want, or all of them are fetched:"
    return "\n\n".join([fenced(shell, "sh"), many, fenced(snapshot, "python")])


def _python(use: Usage) -> list[str]:
    if not use.path:
        return []
    writer = {Kind.CHECKPOINT: _checkpoint, Kind.LORA: _lora, Kind.EMBEDDING: _embedding}.get(Kind(use.kind))
    return writer(use) if writer else []


def _checkpoint(use: Usage) -> list[str]:
    if not use.pipeline:
        return []
    address = f"{PUBLIC}/{use.repo}/blob/main/{use.path}"
    return [
        f"from diffusers import {use.pipeline}",
        "",
        f"pipe = {use.pipeline}.from_single_file(",
        f"    {_py(address)}, config={_py(use.repo)}, revision={_py(use.revision)}",
        ")",
        *([PICTURE] if use.pipeline in ("StableDiffusionPipeline", "StableDiffusionXLPipeline") else []),
    ]


def _lora(use: Usage) -> list[str]:
    strength = [f"pipe.set_adapters(['default_0'], adapter_weights=[{use.weight:g}])"] if use.weight not in (None, 1.0) else []
    load = f"pipe.load_lora_weights({_py(use.repo)}, weight_name={_py(use.path)}, revision={_py(use.revision)})"
    return [*_on_base(), load, *strength, PICTURE]


def _embedding(use: Usage) -> list[str]:
    word = use.words[0] if use.words else "WORD"
    load = f"pipe.load_textual_inversion({_py(use.repo)}, weight_name={_py(use.path)}, token={_py(word)}, revision={_py(use.revision)})"
    return [*_on_base(), load, PICTURE.replace("PROMPT", "PROMPT with the trigger word")]


def _on_base() -> list[str]:
    return ["from diffusers import DiffusionPipeline", "", f'pipe = DiffusionPipeline.from_pretrained("{BASE}")']


def _py(value: str | list[str]) -> str:
    """A literal of Python: JSON's is one for texts and lists of them."""
    return json.dumps(value, ensure_ascii=False)
