"""A1111's text, which Forge, SD.Next, Civitai's generator and this hub's renderer write too; and the way to write it of any tool's words.

Reading and quoting are `inference.diffusion.infotext`'s; here it becomes an `ImageMeta`.
"""

from __future__ import annotations

import re
from typing import Any

from hub.imagemeta import guarded
from hub.imagemeta.meta import MAX_PROMPT, ImageMeta, add, clean, number, put, unknown
from inference.diffusion import infotext

KINDS = {
    "model": "model",
    "checkpoint": "model",
    "vae": "vae",
    "lora": "lora",
    "lyco": "lora",
    "locon": "lora",
    "dora": "lora",
    "embed": "embedding",
    "embedding": "embedding",
    "textualinversion": "embedding",
    "hypernet": "hypernetwork",
    "hypernetwork": "hypernetwork",
    "controlnet": "controlnet",
    "upscaler": "upscaler",
}
"""Words for kinds in "Hashes", "Civitai resources" and tags."""
_LISTS = frozenset(
    {"Lora hashes", "TI hashes", "Hypernet hashes", "TI", "Hashes", "Civitai resources", "Civitai metadata", "Prompt", "Negative prompt"}
)
_REFINER = re.compile(r"(.{1,300}?) \[([0-9a-fA-F]{8,12})\]")
_FIRST = ("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size")


def read(texts: dict[str, str]) -> tuple[ImageMeta, frozenset[str]] | None:
    """Of "parameters": at least three pairs in its last line, or a negative prompt; a workflow beside it is kept."""
    text = texts.get("parameters", "").strip()
    said = infotext.parse(text)
    if len(said) < 5 and not said["Negative prompt"]:
        return None
    meta = ImageMeta(tool=_tool(said), prompt=clean(said["Prompt"], MAX_PROMPT), negative_prompt=clean(said["Negative prompt"], MAX_PROMPT))
    meta.parameters = clean(text, infotext.MAX_TEXT)
    for key, value in said.items():
        if key not in _LISTS and not re.search("-[12]$", key):
            put(meta, key, value)
    _resources(meta, infotext.meta(text), said)
    used = {"parameters"}
    for name in ("workflow", "prompt"):
        if isinstance(guarded.loads(texts.get(name, "")), dict):
            meta.workflow = meta.workflow or texts[name]
            used.add(name)
    return meta, frozenset(used)


def _tool(said: dict[str, str]) -> str:
    """Which program it was, by the "Version" or "App" that it writes."""
    version, app = said.get("Version", ""), said.get("App", "")
    if version.startswith("weighhouse-"):
        return "Weighhouse"
    if "SD.Next" in app or "SD.Next" in version:
        return "SD.Next"
    for name in ("Fooocus", "ComfyUI"):
        if name.lower() in version.lower():
            return name
    if re.match(r"f[0-9]|neo", version):
        return "Forge"
    return "Civitai" if "Civitai resources" in said and not version else "A1111"


def _resources(meta: ImageMeta, told: dict[str, Any], said: dict[str, str]) -> None:
    for row in told["resources"]:
        add(meta, KINDS.get(str(row["type"]).lower(), "other"), row["name"], row.get("hash"), row.get("weight"))
    add(meta, "vae", "" if said.get("VAE") in (None, "None", "Automatic") else said["VAE"], said.get("VAE hash"))
    refiner = _REFINER.fullmatch(said.get("Refiner", ""))
    if refiner:
        add(meta, "refiner", refiner[1], refiner[2])
    listed = guarded.loads(said["Civitai resources"]) if "Civitai resources" in said else []
    if listed is None:
        unknown(meta, "Civitai resources")
    for row in guarded.rows(listed):
        if isinstance(row, dict):
            name = row.get("modelName") or row.get("air") or ""
            add(meta, KINDS.get(str(row.get("type", "")).lower(), "other"), name, row.get("hash"), row.get("weight"))


def written(meta: ImageMeta) -> str:
    """All that a picture says as A1111 writes it, so that it can be pasted there, whatever tool said it."""
    first = [name for name in _FIRST if name in meta.settings]
    pairs = {name: meta.settings[name] for name in [*first, *(name for name in meta.settings if name not in _FIRST)]}
    model = next((one for one in meta.resources if one.kind == "model"), None)
    if model is not None:
        pairs.setdefault("Model hash", model.hash[:10])
        pairs.setdefault("Model", model.name)
    prompt = meta.prompt
    for one in meta.resources:
        if one.kind == "lora" and one.name and f"<lora:{one.name}:" not in prompt:
            prompt += f" <lora:{one.name}:{1 if one.weight is None else one.weight:g}>"
    lines = [prompt.strip()]
    if meta.negative_prompt:
        lines.append(f"{infotext.NEGATIVE} {meta.negative_prompt}")
    lines.append(", ".join(f"{name}: {infotext.quoted(value)}" for name, value in pairs.items() if value))
    return "\n".join(line for line in lines if line)


def tagged(meta: ImageMeta) -> None:
    """Note the networks that a prompt calls by A1111's tags; other tools took them over."""
    for kind, name, strength in re.findall(r"<(lora|lyco|hypernet):([^:>]{1,200})(?::([^>:]{0,20}))?[^>]{0,100}>", meta.prompt)[:200]:
        add(meta, KINDS[kind], name, "", number(strength or "1"))
