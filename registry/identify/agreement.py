"""Whether a declared base model can be true of what the tensors prove. Compares families: tensors cannot tell SD 1.4 from 1.5."""

from __future__ import annotations

from typing import Any

FAMILIES: tuple[tuple[str, str], ...] = (
    ("SD 1", "SD 1.x"),
    ("SD 2", "SD 2.x"),
    ("SDXL", "SDXL"),
    ("Pony V7", "AuraFlow"),
    ("Pony", "SDXL"),
    ("Illustrious", "SDXL"),
    ("NoobAI", "SDXL"),
    ("Playground v2", "SDXL"),
    ("SD 3", "SD 3"),
    ("Flux.1", "Flux.1"),
    ("Flux.2", "Flux.2"),
    ("PixArt", "PixArt"),
    ("Wan Video", "Wan Video"),
    ("Stable Cascade", "Stable Cascade"),
    ("AuraFlow", "AuraFlow"),
    ("Chroma", "Chroma"),
    ("HiDream", "HiDream"),
    ("Lumina", "Lumina"),
    ("Qwen", "Qwen"),
    ("SVD", "SVD"),
    ("ZImage", "Z-Image"),
)
"""Start of a declared base model (Civitai's spellings) -> the family that its tensors show; the first that fits."""


def family_of(declared: str) -> str:
    """The family of a declared base model; "" for one that this table does not know ("Other", a new name)."""
    return next((family for start, family in FAMILIES if declared.startswith(start)), "")


def agrees(declared: str, detected: dict[str, Any]) -> bool | None:
    """True or False where both sides are known, None where one says nothing. `detected` is `Detection.to_json()`."""
    said, proved = family_of(declared), str(detected.get("family") or "")
    if not said or not proved:
        return None
    return any(said.startswith(part) or part.startswith(said) for part in proved.split(" / "))
