"""SwarmUI's words: JSON under "parameters" (PNG) or UserComment, with `sui_image_params`, `sui_extra_data` and `sui_models`.

Its hashes are of the tensors alone, "0x" before them (ModelSpec).
"""

from __future__ import annotations

from hub.imagemeta import a1111, guarded
from hub.imagemeta.meta import MAX_PROMPT, ImageMeta, add, clean, put, unknown

LABELS = {
    "steps": "Steps",
    "sampler": "Sampler",
    "comfyuisampler": "Sampler",
    "scheduler": "Schedule type",
    "comfyuischeduler": "Schedule type",
    "cfgscale": "CFG scale",
    "seed": "Seed",
    "clipstopatlayer": "Clip skip",
    "initimagecreativity": "Denoising strength",
    "swarm_version": "Version",
}
PARAMS = {
    "model": "model",
    "refinermodel": "refiner",
    "vae": "vae",
    "loras": "lora",
    "used_embeddings": "embedding",
    "controlnetmodel": "controlnet",
}


def read(texts: dict[str, str]) -> tuple[ImageMeta, frozenset[str]] | None:
    text = texts.get("parameters", "")
    whole = guarded.loads(text) if '"sui_image_params"' in text else None
    if not isinstance(whole, dict) or not isinstance(whole.get("sui_image_params"), dict):
        return None
    params = dict(whole["sui_image_params"])
    meta = ImageMeta(
        tool="SwarmUI",
        prompt=clean(guarded.text(params.pop("prompt", "")), MAX_PROMPT),
        negative_prompt=clean(guarded.text(params.pop("negativeprompt", "")), MAX_PROMPT),
    )
    for row in guarded.rows(whole.get("sui_models")):
        if isinstance(row, dict):
            add(meta, PARAMS.get(str(row.get("param")), "other"), row.get("name", ""), row.get("hash"))
    _named(meta, params)
    skip = params.pop("clipstopatlayer", None)
    if isinstance(skip, int | str) and str(skip).lstrip("-").isdigit():
        put(meta, "Clip skip", abs(int(str(skip)[:6])))
    guarded.take(params, LABELS, meta)
    for part in whole:
        if part not in ("sui_image_params", "sui_models", "sui_extra_data"):
            unknown(meta, part)
    return meta, frozenset({"parameters", *({"workflow", "prompt"} & set(texts))})


def _named(meta: ImageMeta, params: dict[str, object]) -> None:
    """Models that the parameters name; the strengths of LoRAs stand in a list beside them."""
    loras, weights = _many(params.pop("loras", [])), _many(params.pop("loraweights", []))
    for place, name in enumerate(loras):
        add(meta, "lora", name, "", weights[place] if place < len(weights) else None)
    for key in ("model", "refinermodel", "vae"):
        name = params.pop(key, "")
        if isinstance(name, str) and name not in ("", "None", "(None)", "Automatic"):
            add(meta, PARAMS[key], name)
    a1111.tagged(meta)


def _many(value: object) -> list[object]:
    return list(value.split(",")[:200]) if isinstance(value, str) else guarded.rows(value)
