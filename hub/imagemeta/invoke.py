"""InvokeAI's words since its version 3: JSON under `invokeai_metadata`. Older ones are read by `library`.

Models are objects there: {"name", "hash"} since version 4 (blake3 of the file unless it was asked for SHA-256), {"model_name"} before.
"""

from __future__ import annotations

from typing import Any

from hub.imagemeta import guarded
from hub.imagemeta.meta import MAX_PROMPT, ImageMeta, add, clean, unknown

LABELS = {
    "steps": "Steps",
    "scheduler": "Sampler",
    "cfg_scale": "CFG scale",
    "seed": "Seed",
    "clip_skip": "Clip skip",
    "strength": "Denoising strength",
    "app_version": "Version",
}
_ALSO = frozenset({"invokeai_workflow", "invokeai_graph"})


def read(texts: dict[str, str]) -> tuple[ImageMeta, frozenset[str]] | None:
    params = guarded.loads(texts.get("invokeai_metadata", ""))
    if not isinstance(params, dict):
        return None
    meta = ImageMeta(
        tool="InvokeAI",
        prompt=clean(guarded.text(params.pop("positive_prompt", "")), MAX_PROMPT),
        negative_prompt=clean(guarded.text(params.pop("negative_prompt", "")), MAX_PROMPT),
    )
    _model(meta, "model", params.pop("model", None))
    _model(meta, "refiner", params.pop("refiner_model", None))
    _model(meta, "vae", params.pop("vae", None))
    for row in guarded.rows(params.pop("loras", None)):
        if isinstance(row, dict):
            _model(meta, "lora", row.get("model") or row.get("lora"), row.get("weight"))
    for row in guarded.rows(params.pop("controlnets", None)):
        if isinstance(row, dict):
            _model(meta, "controlnet", row.get("control_model"), row.get("control_weight"))
    guarded.take(params, LABELS, meta)
    return meta, frozenset({"invokeai_metadata", *(_ALSO & set(texts))})


def _model(meta: ImageMeta, kind: str, told: Any, weight: object = None) -> None:
    if isinstance(told, dict):
        name = told.get("name") or told.get("model_name") or told.get("key") or ""
        add(meta, kind, name, told.get("hash"), weight)
    elif isinstance(told, str):
        add(meta, kind, told, "", weight)
    elif told is not None:
        unknown(meta, kind)
