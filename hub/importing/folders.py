"""Walks a models folder as A1111, ComfyUI, InvokeAI, SwarmUI or LoRA-Manager lay it out. Reads names, never a byte; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from registry.models import Kind
from registry.names import EXTENSIONS

MAX_DEPTH = 12
TOLD = (".civitai.info", ".metadata.json", ".cm-info.json", ".json", ".txt")
"""Endings of what lies beside a file, the one that is believed first in front: Civitai Helper's, LoRA-Manager's, Stability Matrix's,
A1111's card, a note."""
PICTURES = tuple(f"{middle}{ending}" for middle in (".preview", "") for ending in (".png", ".jpeg", ".jpg", ".webp"))
FOLDERS: dict[str, str] = {
    **dict.fromkeys(("stable-diffusion", "checkpoints", "unet", "diffusion_models", "main"), Kind.CHECKPOINT),
    **dict.fromkeys(("lora", "loras", "lycoris", "loha", "locon", "dora"), Kind.LORA),
    **dict.fromkeys(("embeddings", "embedding", "textual_inversion"), Kind.EMBEDDING),
    **dict.fromkeys(("hypernetworks", "hypernetwork"), Kind.HYPERNETWORK),
    **dict.fromkeys(("vae", "vae_approx"), Kind.VAE),
    **dict.fromkeys(("controlnet", "t2i_adapter", "control_lora"), Kind.CONTROLNET),
    **dict.fromkeys(("esrgan", "realesrgan", "swinir", "upscale_models", "dat", "scunet", "ldsr"), Kind.UPSCALER),
    **dict.fromkeys(("clip", "clip_vision", "text_encoder", "text_encoders", "gligen", "ipadapter", "style_models"), Kind.OTHER),
}
"""Name of a folder, in lower case -> what lies in it, by the layouts in the documentation of each program."""


@dataclass(frozen=True)
class Found:
    """A file of weights; `kind` is what its folder says it is, "" where that says nothing. `told` and `pictures` lie beside it."""

    path: Path
    size_bytes: int
    kind: str = ""
    told: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = field(default=())


@dataclass(frozen=True)
class Unreadable:
    """A folder or file that could not be looked at, and why."""

    path: Path
    reason: str


def walk(root: Path) -> Iterator[Found | Unreadable]:
    """Every file of weights below `root` in the order of names. Links are not followed: they lead elsewhere, or round in a circle."""
    yield from _folder(root, "", 0)


def _folder(folder: Path, kind: str, depth: int) -> Iterator[Found | Unreadable]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Unreadable(folder, error.strerror or "could not be read")
        return
    beside = {entry.name.lower(): Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)}
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name.startswith("."):
                continue
            if depth >= MAX_DEPTH:
                yield Unreadable(Path(entry.path), f"lies more than {MAX_DEPTH} folders deep")
            else:
                yield from _folder(Path(entry.path), FOLDERS.get(entry.name.lower(), kind), depth + 1)
        elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
            yield _file(entry, kind, beside)


def _file(entry: os.DirEntry[str], kind: str, beside: dict[str, Path]) -> Found | Unreadable:
    path = Path(entry.path)
    if not entry.is_file(follow_symlinks=False):
        return Unreadable(path, "is a link or no plain file")
    try:
        size = entry.stat(follow_symlinks=False).st_size
    except OSError as error:
        return Unreadable(path, error.strerror or "could not be read")
    stem = path.stem.lower()
    told = tuple(beside[stem + ending] for ending in TOLD if stem + ending in beside)
    return Found(path, size, kind, told, tuple(beside[stem + ending] for ending in PICTURES if stem + ending in beside))
