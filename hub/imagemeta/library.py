"""The tools that the library sd-parsers reads well: Fooocus, InvokeAI before version 3, NovelAI. It is handed texts and never a picture.

Of A1111 and ComfyUI it keeps less than the hub needs (quoted values, pairs with colons, prompts and LoRAs of graphs), of InvokeAI since
version 4 it loses the model, and SwarmUI it does not know: these have readers of their own.
"""

from __future__ import annotations

import re
from typing import Any

from sd_parsers.data import Generators, PromptInfo
from sd_parsers.exceptions import ParserError
from sd_parsers.parsers import FooocusParser, InvokeAIParser, NovelAIParser, Parser

from hub.imagemeta import guarded
from hub.imagemeta.meta import MAX_PROMPT, ImageMeta, add, clean, is_plain, put

NAMES = {Generators.FOOOCUS: "Fooocus", Generators.INVOKEAI: "InvokeAI", Generators.NOVELAI: "NovelAI"}
LABELS = {
    "steps": "Steps",
    "scheduler": "Schedule type",
    "cfg_scale": "CFG scale",
    "seed": "Seed",
    "clip_skip": "Clip skip",
    "strength": "Denoising strength",
    "version": "Version",
}
_SIZE = re.compile(r"\(?([0-9]{1,6})\s*[,x×]\s*([0-9]{1,6})\)?")


def fooocus(texts: dict[str, str]) -> tuple[ImageMeta, frozenset[str]] | None:
    """JSON under "parameters" (scheme "fooocus"); with its other scheme it writes A1111's text."""
    text = texts.get("parameters", "")
    if '"base_model"' not in text or not isinstance(guarded.loads(text), dict):
        return None
    info = _asked(FooocusParser(), {"parameters": text})
    if info is None:
        return None
    rest = dict(info.metadata)
    meta = _told(info)
    for row in guarded.rows(rest.pop("loras", None)):
        if isinstance(row, list | tuple) and row and isinstance(row[0], str):
            add(meta, "lora", row[0], row[2] if len(row) > 2 else "", row[1] if len(row) > 1 else None)
    for key, kind in (("refiner_model", "refiner"), ("vae", "vae")):
        name = rest.pop(key, "")
        if isinstance(name, str) and name not in ("", "None", "Default (model)"):
            add(meta, kind, name, rest.pop(f"{key}_hash", ""))
    size = _SIZE.fullmatch(str(rest.pop("resolution", ""))[:40])
    if size:
        put(meta, "Size", f"{size[1]}x{size[2]}")
    for key in [key for key in rest if key.startswith(("lora_combined_", "full_", "metadata_scheme"))]:
        del rest[key]  # the same once more
    guarded.take(rest, LABELS, meta)
    return meta, frozenset({"parameters"})


def invoke_of_old(texts: dict[str, str]) -> tuple[ImageMeta, frozenset[str]] | None:
    """ "sd-metadata" (version 2), or the command line under "Dream" (version 1)."""
    for name in ("sd-metadata", "Dream"):
        text = texts.get(name, "")
        if not text or (name == "sd-metadata" and not isinstance(guarded.loads(text), dict)) or len(text) > MAX_PROMPT:
            continue
        info = _asked(InvokeAIParser(), {name: text})
        if info is not None:
            meta, rest = _told(info), dict(info.metadata)
            guarded.take(rest, LABELS, meta, dropped=("prompt", "app_id"))
            return meta, frozenset({"sd-metadata", "Dream"} & set(texts))
    return None


def novelai(texts: dict[str, str]) -> tuple[ImageMeta, frozenset[str]] | None:
    """JSON under "Comment", the prompt under "Description", the model under "Source"."""
    comment = texts.get("Comment", "")
    if not texts.get("Software", "").startswith("NovelAI") or not isinstance(guarded.loads(comment), dict):
        return None
    info = _asked(NovelAIParser(), {"Comment": comment, "Description": texts.get("Description", ""), "Source": texts.get("Source", "")})
    if info is None:
        return None
    meta, rest = _told(info), dict(info.metadata)
    guarded.take(rest, LABELS, meta, dropped=("prompt", "signed_hash"))
    return meta, frozenset({"Comment", "Description", "Source", "Software", "Title"})


def _asked(parser: Parser, texts: dict[str, Any]) -> PromptInfo | None:
    """What the library makes of it; None where it cannot, however it says so."""
    try:
        return parser.parse(texts)
    except (ParserError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return None


def _told(info: PromptInfo) -> ImageMeta:
    meta = ImageMeta(tool=NAMES[info.generator])
    meta.prompt = clean(", ".join(str(one.value) for one in info.prompts), MAX_PROMPT)
    meta.negative_prompt = clean(", ".join(str(one.value) for one in info.negative_prompts), MAX_PROMPT)
    for sampler in info.samplers[:1]:
        put(meta, "Sampler", sampler.name)
        guarded.take({key: value for key, value in sampler.parameters.items() if is_plain(value)}, LABELS, meta)
        if sampler.model is not None:
            add(meta, "model", sampler.model.name or "", sampler.model.hash)
    return meta
