"""The family as safetensors files in a folder, as the hub makes them of uploads: pickles are converted in a locked child.

For the contact sheet and the tests; it renders nothing and publishes nothing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from inference.diffusion.jobs import CHECKPOINT, EMBEDDING, HYPERNETWORK, LORA, VAE, JobFile
from inference.weights.command import read_directory
from inference.weights.locked import Wanted, convert_locked
from inference.weights.merging.locked import merge_locked
from inference.weights.merging.recipe import MergeRecipe
from inference.weights.recipe import Recipe, twin_recipe
from registry.formats.errors import FormatError
from registry.formats.hashes import hash_file
from samples.training import files

FOLDER = Path(files.__file__).parents[1] / "files"
ROLES = {
    files.BASE: CHECKPOINT,
    files.NEON: CHECKPOINT,
    files.CRISP: VAE,
    files.STICKER: LORA,
    files.WINTERDAY: EMBEDDING,
    files.PRINT: HYPERNETWORK,
}


def safe(name: str, folder: Path) -> Path:
    """A file of the family as safetensors in `folder`, made there unless it is. Raises FormatError."""
    source = FOLDER / name
    target = folder / f"{source.name.split('.')[0]}.safetensors"
    if target.exists():
        return target
    if source.suffix == ".safetensors":
        return Path(shutil.copyfile(source, target))
    (made,) = convert_locked(source, read_directory(source), [Wanted(target, twin_recipe())])
    if isinstance(made, FormatError):
        raise made
    return target


def job_file(name: str, folder: Path) -> tuple[JobFile, Path]:
    """What a render is told of a file of the family, and where it lies."""
    path = safe(name, folder)
    known = hash_file(path)
    return JobFile(ROLES[name], path.stem, known.sha256, known.size_bytes, known.autov3 or ""), path


def merged(neon: Path, folder: Path) -> Path:
    """The merge of `samples.json` in `folder`: half of the base's averages in half precision, half of the fine-tune. Raises FormatError."""
    averages, target = folder / "paper-shapes-ema-fp16.safetensors", folder / "half-lit.safetensors"
    source = FOLDER / files.BASE
    (made,) = convert_locked(source, read_directory(source), [Wanted(averages, Recipe(keep="ema", precision="fp16"))])
    if isinstance(made, FormatError):
        raise made
    merge_locked({"a": averages, "b": neon}, MergeRecipe(method="weighted_sum", multiplier=0.5), target)
    return target
