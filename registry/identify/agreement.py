"""Whether a declared base model can be true of what the tensors prove. Compares families: tensors cannot tell SD 1.4 from 1.5."""

from __future__ import annotations

from typing import Any

FAMILIES: tuple[tuple[str, str], ...] = (
    ("SD 1", "SD 1.x"),
    ("SD 2", "SD 2.x"),
    ("SDXL", "SDXL"),
    ("Pony", "SDXL"),
    ("Pony V7", "AuraFlow"),
    ("Illustrious", "SDXL"),
    ("NoobAI", "SDXL"),
    ("Playground v2", "SDXL"),
    ("Kolors", "Kolors"),
    ("SVD", "SVD"),
    ("SD 3", "SD 3"),
    ("Flux.1", "Flux.1"),
    ("Flux.2", "Flux.2"),
    ("Chroma", "Chroma"),
    ("PixArt", "PixArt"),
    ("Hunyuan 1", "Hunyuan-DiT"),
    ("Hunyuan Video", "Hunyuan Video"),
    ("Hunyuan3D", "Hunyuan3D"),
    ("Stable Cascade", "Stable Cascade"),
    ("AuraFlow", "AuraFlow"),
    ("Lumina", "Lumina"),
    ("ZImage", "Z-Image"),
    ("Wan Video", "Wan Video"),
    ("LTXV", "LTX-Video"),
    ("HiDream", "HiDream"),
    ("HiDream-O1", "HiDream-O1"),
    ("Qwen", "Qwen"),
    ("MageFlow", "MageFlow"),
    ("Mochi", "Mochi"),
    ("CogVideoX", "CogVideoX"),
    ("Anima", "Anima"),
    ("Ernie", "Ernie"),
    ("Krea 2", "Krea 2"),
    ("Ideogram 4.0", "Ideogram 4"),
    ("Boogu", "Boogu"),
    ("MiniMax H3", "MiniMax H3"),
    ("ACE Audio", "ACE Audio"),
)
"""Start of a declared base model (Civitai's spellings) -> the family that its tensors show; the longest start that fits."""

UNTOLD: frozenset[str] = frozenset(
    {
        "Other", "Upscaler", "Flux 3 Video", "Grok", "HappyHorse", "Lens", "MAI", "Reve", "Wan Image 2.7", "Imagen4", "Nano Banana", "ODOR",
        "OpenAI", "Seedream", "Sora 2", "Veo 3", "Vidu Q1", "Kling", "Seedance", "PolyGen", "Tripo",
    }
)  # fmt: skip
"""Base models of Civitai's list that no published tensors are known of: services, new names, and what says nothing."""


def family_of(declared: str) -> str:
    """The family of a declared base model; "" for one that this table does not know ("Other", a new name)."""
    if declared in UNTOLD:
        return ""
    return max((row for row in FAMILIES if declared.startswith(row[0])), key=lambda row: len(row[0]), default=("", ""))[1]


def agrees(declared: str, detected: dict[str, Any]) -> bool | None:
    """True or False where both sides are known, None where one says nothing. `detected` is `Detection.to_json()`."""
    said, proved = family_of(declared), str(detected.get("family") or "")
    if not said or not proved:
        return None
    return any(said == part or said.startswith(f"{part}.") or part.startswith((f"{said} ", f"{said}.")) for part in proved.split(" / "))


def same_family(first: str, second: str) -> bool | None:
    """Whether two proved families are one ("SD 3 / Flux.1" is both); None where one is not known."""
    if not first or not second:
        return None
    one, other = ({part.removesuffix(" unCLIP") for part in family.split(" / ")} for family in (first, second))
    return bool(one & other)
