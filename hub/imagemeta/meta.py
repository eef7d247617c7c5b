"""The answer: what was read from a picture, as plain data that can be stored and shown. How it was read is not known here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_PROMPT = 100_000
MAX_VALUE = 4_000
"""Characters of one setting."""
MAX_SETTINGS = 200
MAX_RESOURCES = 200
MAX_NOT_UNDERSTOOD = 60

KINDS = ("model", "refiner", "vae", "lora", "embedding", "hypernetwork", "controlnet", "upscaler", "text encoder", "other")


@dataclass(frozen=True, slots=True)
class Resource:
    """A file that took part. `kind` is one of `KINDS`; `hash` is what the tool wrote, in small hex digits without "0x", or ""."""

    kind: str
    name: str
    hash: str = ""
    weight: float | None = None


@dataclass(slots=True)
class ImageMeta:
    """What a picture says of its making.

    `tool` is "A1111", "Forge", "ComfyUI"... or "" for none that is known. `settings` are texts under A1111's names where A1111 has one
    ("Steps", "Sampler", "CFG scale", "Seed", "Size", "Clip skip"), else under the tool's own. `workflow` is ComfyUI's JSON as it was.
    `parameters` is all of it as A1111 writes it: the tool's own text where it wrote one. `not_understood` names what was there and
    is not told.
    """

    tool: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    workflow: str | None = None
    parameters: str = ""
    not_understood: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> ImageMeta:
        """The same again. Raises TypeError, KeyError or ValueError for what is no such object: a child may say anything."""
        made = cls(**{**told, "resources": [Resource(**row) for row in told["resources"]]})
        texts = [made.tool, made.prompt, made.negative_prompt, made.parameters, made.workflow or "", *made.not_understood]
        texts += [*made.settings, *made.settings.values(), *(text for one in made.resources for text in (one.kind, one.name, one.hash))]
        if not all(isinstance(text, str) for text in texts) or any(one.kind not in KINDS for one in made.resources):
            raise ValueError("not the metadata of an image")
        weights = [one.weight for one in made.resources if one.weight is not None]
        if not all(isinstance(weight, float) and math.isfinite(weight) for weight in weights):
            raise ValueError("a weight is not a number")
        return made


def clean(value: object, limit: int = MAX_VALUE) -> str:
    """A text that can be stored: no control characters but line ends and tabs, no halves of characters, cut at `limit`."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    text = text[:limit].replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.isprintable():
        return text.strip()
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in kept).strip()


def is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def number(value: object) -> float | None:
    """A strength; None for what is no finite number of a sane size."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)[:50]) > 40:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and abs(found) < 1e6 else None


def digest(value: object) -> str:
    """A hash as hubs look it up: small hex digits; "" for anything else ("blake3:" and "0x" before it are taken off)."""
    text = value.rpartition(":")[2].strip().lower().removeprefix("0x") if isinstance(value, str) and len(value) < 200 else ""
    return text if 6 <= len(text) <= 128 and set(text) <= set("0123456789abcdef") else ""


def file_stem(name: object) -> str:
    """The name of a weights file without its folders and ending."""
    text = clean(name, 300).replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = text.rpartition(".")
    return stem if dot and ending.lower() in ("safetensors", "ckpt", "pt", "pth", "bin", "gguf", "sft") else text


def add(meta: ImageMeta, kind: str, name: object, hash_: object = "", weight: object = None) -> None:
    """Note a resource once: what is named again adds its hash or weight to what is there."""
    stem = file_stem(name)
    made = Resource(kind if kind in KINDS else "other", stem, digest(hash_), number(weight))
    for place, known in enumerate(meta.resources):
        if (known.kind, known.name) == (made.kind, made.name) or (made.hash and known.hash == made.hash):
            strength = known.weight if made.weight is None else made.weight
            meta.resources[place] = Resource(known.kind, known.name or made.name, known.hash or made.hash, strength)
            return
    if (stem or made.hash) and len(meta.resources) < MAX_RESOURCES:
        meta.resources.append(made)


def put(meta: ImageMeta, name: str, value: object) -> None:
    """Note a setting; what is empty, or more than a plain value, is not one: the latter is told as not understood."""
    if value is None or value == "" or value == [] or value == {}:
        return
    label = clean(name, 80)
    if not is_plain(value) or len(meta.settings) >= MAX_SETTINGS:
        unknown(meta, label)
    elif text := clean(value):
        meta.settings.setdefault(label, text)


def unknown(meta: ImageMeta, what: object) -> None:
    text = clean(what, 120)
    if text and text not in meta.not_understood and len(meta.not_understood) < MAX_NOT_UNDERSTOOD:
        meta.not_understood.append(text)
