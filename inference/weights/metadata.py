"""The `__metadata__` of a derived file: what its creator wrote, what no longer holds left out, how it was made added. It writes no file.

The same directory, recipe and source give the same entries; `CONVERTER_VERSION` is raised when that would change.
"""

from __future__ import annotations

import json
import re
from typing import Any

from inference.weights.outcome import CONVERTER_VERSION
from inference.weights.recipe import Recipe
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.identify.detect import SAID, identify
from registry.identify.keys import unwrap
from registry.places import FOLDERS

OURS = "weighhouse."
EMBEDDED_HASHES = frozenset({"sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256"})
"""Hashes of the source that its metadata carries: wrong for anything derived, and A1111 believes the first unread."""

START = r"(?:[A-Za-z]:[\\/]|\\\\[\w.$-]+\\|~/|/[\w.$ -]+/)"
PLACE = re.compile(START + r"[^\r\n]*")
"""A whole value that is a place in a file system: a drive, a network share, a home folder, or two or more folders deep.

The tags of a training set that look like smileys ("/\\/\\", "\\m/") are none.
"""
MAX_VALUES = 64
MAX_JSON = 8 << 20
"""Characters of a value that is looked through for paths; a longer one that names some is left out whole."""

SPEC = "modelspec."
ARCHITECTURES: dict[str, str] = {
    "SD 1.x": "stable-diffusion-v1",
    "SDXL": "stable-diffusion-xl-v1-base",
    "SDXL Refiner": "stable-diffusion-xl-v1-refiner",
    "SD 3": "stable-diffusion-v3-medium",
}
"""Family as identification proves it -> ModelSpec's id. Families that its list does not name get none, nor does SD 2.x as such:
tensors do not tell its 512 px models from the 768 px ones, which need another sampler.
"""
PREDICTIONS = frozenset({"v", "epsilon"})
"""What `prediction_type` may say; where identification tells neither, nothing is said."""
PLAIN_SDXL = frozenset({"SDXL 1.0", "Pony", "Illustrious", "NoobAI"})
"""Bases of SDXL's own layout; its distilled and re-scaled relatives run by other code and have no id."""
SPECIAL: dict[tuple[str, str], str] = {
    ("SD 1.x", "inpainting"): "stable-diffusion-v1-inpainting",
    ("SD 2.x", "inpainting"): "stable-diffusion-v2-inpainting",
    ("SD 2.x", "depth"): "stable-diffusion-v2-depth",
    ("SD 2.x", "v-prediction"): "stable-diffusion-v2-768-v",
    ("SDXL", "pix2pix"): "stable-diffusion-xl-v1-edit",
}
"""(Family, variant) -> the id of what needs another program."""
SAME_PROGRAM = frozenset({"v-prediction", "zero terminal SNR"})
"""Variants that a family's own id covers; any other that `SPECIAL` does not name has no id."""
SUFFIXES: dict[str, str] = {
    "checkpoint": "",
    "unet": "",
    "lora": "/lora",
    "embedding": "/textual-inversion",
    "controlnet": "/controlnet",
    "vae": "/vae",
}
RESOLUTIONS: dict[str, str] = {
    "stable-diffusion-v1": "512x512",
    "stable-diffusion-v1-inpainting": "512x512",
    "stable-diffusion-v2-inpainting": "512x512",
    "stable-diffusion-v2-depth": "512x512",
    "stable-diffusion-v2-768-v": "768x768",
    "stable-diffusion-xl-v1-base": "1024x1024",
    "stable-diffusion-xl-v1-refiner": "1024x1024",
    "stable-diffusion-xl-v1-edit": "768x768",
    "stable-diffusion-v3-medium": "1024x1024",
}
"""What each was trained at, by its publisher's model card: where the creator did not say."""


def derived_metadata(directory: TensorDirectory, recipe: Recipe, *, source_sha256: str | None = None, title: str = "") -> dict[str, str]:
    """All entries of a derived file's `__metadata__`.

    The creator's entries stay as they are, without hashes of the source (`EMBEDDED_HASHES`) and without the places of the trainer's
    machine; of a path its last part is left. How the file was made is under `weighhouse.*`; what an embedding or a hypernetwork holds
    beside its tensors (name, steps, layer structure) stays readable as `weighhouse.value.*`. ModelSpec's entries are added where the
    tensors prove them and the creator wrote none; `title` is its `modelspec.title`, left out where nobody gave one.
    """
    kept = without_places(directory.metadata)
    of_source = {"weighhouse.source_sha256": source_sha256.lower()} if source_sha256 else {}
    return {"format": "pt", **_model_spec(directory, title), **kept, **made_by(recipe), **of_source, **_values(directory)}


def made_by(recipe: Recipe) -> dict[str, str]:
    """The entries that differ between the variants of one file."""
    return {"weighhouse.keep": recipe.keep, "weighhouse.precision": recipe.precision, "weighhouse.converter": CONVERTER_VERSION}


def notes_of(directory: TensorDirectory) -> list[str]:
    """What `derived_metadata` leaves out of the creator's entries, in sentences for the report."""
    found = sorted(key for key, text in directory.metadata.items() if key in FOLDERS or _cleaned(text) != text)
    stale = sorted(EMBEDDED_HASHES & set(directory.metadata))
    said = [
        (found, "Folders of the trainer's machine were left out of the metadata"),
        (stale, "Hashes of the source do not hold for this file and were left out of the metadata"),
    ]
    return [f"{sentence} ({_listed(names)})." for names, sentence in said if names]


def _listed(names: list[str], most: int = 5) -> str:
    shown = ", ".join(printable(name, 60) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def without_places(metadata: dict[str, str]) -> dict[str, str]:
    """A creator's entries as they may go into a file that was made of theirs: without stale hashes, our own entries and folders."""
    left_out = EMBEDDED_HASHES | FOLDERS
    kept = {key: _cleaned(text) for key, text in metadata.items() if key not in left_out and not key.startswith(OURS)}
    return {key: text for key, text in kept.items() if text is not None}


def _cleaned(text: str) -> str | None:
    """A value without places: itself where it names none, None where it is too long to be looked through."""
    if PLACE.fullmatch(text):
        return _last_part(text)
    if not text.startswith(("{", "[")) or not re.search(r"[\\/~]", text):
        return text
    if len(text) > MAX_JSON:
        return None if re.search('"' + START, text) else text
    try:
        cleaned = _walk(json.loads(text))
        return text if cleaned is None else json.dumps(cleaned[0])
    except (ValueError, RecursionError):
        return text


def _walk(value: Any) -> tuple[Any] | None:
    """The value in a tuple of its own with every place cut to its last part, or None where there was none. Raises RecursionError."""
    if isinstance(value, str):
        return (_last_part(value),) if PLACE.fullmatch(value) else None
    if isinstance(value, list):
        found = [_walk(item) for item in value]
        return ([item if new is None else new[0] for item, new in zip(value, found, strict=True)],) if any(found) else None
    if isinstance(value, dict):
        pairs = [(_walk(key), _walk(item)) for key, item in value.items()]
        if not any(key or item for key, item in pairs):
            return None
        return ({new[0] if new else key: item[0] if item else value[key] for key, (new, item) in zip(value, pairs, strict=True)},)
    return None


def _last_part(place: str) -> str:
    return re.split(r"[\\/]", place.rstrip("\\/"))[-1]


def _values(directory: TensorDirectory) -> dict[str, str]:
    if not any(isinstance(entry.path[0], int) or entry.path[0] == "string_to_param" for entry in directory.tensors):
        return {}
    plain = [other for other in directory.others if other.kind in {"str", "int", "float", "bool"} and len(other.path) <= 2][:MAX_VALUES]
    return {"weighhouse.value." + printable(".".join(map(str, other.path))): printable(other.text) for other in plain}


def _model_spec(directory: TensorDirectory, title: str) -> dict[str, str]:
    """ModelSpec 1.0.1 as far as it is known. Nothing, where the architecture has no id or its creator says another."""
    try:
        found, names = identify(directory).to_json(), unwrap(directory).tensors
    except FormatError:
        return {}
    architecture = _architecture(found)
    if not architecture or directory.metadata.get("modelspec.architecture", architecture) != architecture:
        return {}
    spec = {"sai_model_spec": "1.0.1", "architecture": architecture, "resolution": found["resolution"] or RESOLUTIONS.get(architecture, "")}
    spec["implementation"] = "" if found["family"] == "SD 3" else _implementation(names)
    spec["title"] = title or directory.metadata.get("ss_output_name", "")
    spec["prediction_type"] = found["prediction"] if found["prediction"] in PREDICTIONS else ""
    return {SPEC + key: text for key, text in spec.items() if text}


def _architecture(found: dict[str, Any]) -> str:
    family, kind, variants = str(found["family"]), str(found["kind"]), set(found["variants"])
    if kind not in SUFFIXES or found["confidence"] == SAID:
        return ""
    if family == "SDXL" and found["base_model"] not in PLAIN_SDXL:
        return ""
    if family == "SD 3" and SUFFIXES[kind]:
        return ""  # its add-ons fit SD 3.5 Medium as well
    special = sorted(variant for variant in variants if (family, variant) in SPECIAL)
    if variants - SAME_PROGRAM - set(special):
        return ""
    base = SPECIAL[family, special[0]] if special else ARCHITECTURES.get(family, "")
    suffix = "/control-lora" if found["flavour"] == "Control-LoRA" else SUFFIXES[kind]
    return base + suffix if base else ""


def _implementation(names: dict[str, Any]) -> str:
    """Whose names the tensors have: "sgm" (CompVis' and Stability's code) or "diffusers"; "" for what belongs to neither."""
    if any(name.startswith(("model.diffusion_model.", "cond_stage_model.", "conditioner.", "first_stage_model.")) for name in names):
        return "sgm"
    starts = ("lora_unet_down_blocks", "lora_unet_mid_block", "lora_unet_up_blocks", "unet.", "down_blocks.", "text_encoder.")
    return "diffusers" if any(name.startswith(starts) for name in names) else ""
