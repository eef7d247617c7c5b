"""Plain words for what the hub knows: precision, containers, licences, states, failures. Says; never decides."""

from __future__ import annotations

from typing import Any

from hub.outcomes import overflow_of
from hub.verdicts.reports import level_of
from hub.verdicts.sentences import PICKLES
from registry.models import CommercialUse, Entry, File, Role

KEEPS = {
    "all": "all weights",
    "weights": "weights alone",
    "ema": "averaged (EMA) weights",
}
PRECISIONS = {
    "fp16": "half precision (fp16)",
    "bf16": "half precision (bf16)",
    "fp32": "full precision (fp32)",
    "fp8": "8-bit floats (fp8)",
    "mixed": "mixed precision",
}
VARIANTS = {
    ("weights", "fp16"): "Same pictures for nearly everyone, at a fraction of the size. Take this one to make pictures.",
    ("weights", "bf16"): "Same pictures for nearly everyone, at a fraction of the size.",
    ("weights", "keep"): "Training leftovers removed, pictures identical.",
    ("ema", "fp16"): "Uses the averages that training kept: often a little smoother pictures. Half precision.",
    ("ema", "keep"): "Uses the averages that training kept: often a little smoother pictures.",
    ("all", "keep"): "The creator's weights, bit for bit, in a format that cannot run code. Keep it to train or to merge.",
}
STEPS = {
    "received": "Received",
    "verified": "Verified",
    "hash": "Hashed",
    "scan": "Scanned",
    "identify": "Identified",
    "convert": "Converted to safetensors",
    "ready": "Ready",
    "previews": "Previews",
    "published": "Published",
    "rescan": "Verdict changed",
    "released": "Released by a moderator",
    "quarantined": "Sealed in quarantine",
}
STATES = {
    "uploading": ("Arriving", "Parts of this file are still missing."),
    "queued": ("Waiting", "Stored. A worker reads it next."),
    "scanning": ("Being examined", "Hashing, scanning and identifying."),
    "clean": ("Found clean", "No code inside. It is made ready next."),
    "converting": ("Converting", "Writing a safetensors copy that cannot run code."),
    "danger": ("Dangerous", "It is being sealed away."),
    "ready": ("Ready", "It may be downloaded once its version is published."),
    "quarantined": ("Quarantined", "It is sealed away and nobody can download it."),
    "failed": ("Failed", "The hub could not take this file."),
}
SCAN_LINES = {
    "suspicious": "Suspicious: it needs something that weights do not",
    "danger": "Quarantined: not safe to load",
    "error": "Not readable to its end, so not offered",
}
CONTAINERS = {
    "safetensors": "safetensors",
    "torch-zip": "pickle in a zip (torch)",
    "torch-legacy": "pickle (old torch format)",
    "torch-tar": "pickle in a tar (oldest torch format)",
    "pickle": "pickle",
    "npy": "numpy array",
    "npz": "numpy arrays in a zip",
    "gguf": "GGUF",
    "onnx": "ONNX",
    "bundle": "zip bundle",
    "keras": "Keras model",
    "hdf5": "HDF5",
    "image": "picture",
    "text": "text",
}


def step_name(step: str) -> str:
    """`make pruned-fp16` -> "Made variant pruned-fp16"."""
    if step == "make variants":
        return "Made variants"
    if step.startswith("make "):
        return f"Made variant {step.removeprefix('make ')}"
    return STEPS.get(step, step.capitalize())


def container(file: File) -> str:
    kind = file.blob.container if file.blob else ""
    return CONTAINERS.get(kind, kind)


def is_pickle(file: File) -> bool:
    """Whether reading the file means running a pickle."""
    return file.blob is not None and file.blob.container in PICKLES


def precision(file: File) -> str:
    """The short word for a file's numbers: fp16, fp32...; "" where unknown."""
    made = file.recipe.get("precision", "")
    if made and made != "keep":
        return str(made)
    detected = file.blob.detected if file.blob else {}
    return str(detected.get("precision") or "")


def about_file(file: File) -> str:
    """One sentence on what a variant is for."""
    if overflow_of(file):
        return "Numbers of the source do not fit into it. It is here because it was made; take another file."
    if file.role == Role.DERIVED:
        key = (file.recipe.get("keep", "all"), file.recipe.get("precision", "keep"))
        return VARIANTS.get(key, f"Made here: {KEEPS.get(key[0], key[0])}, {PRECISIONS.get(key[1], key[1])}.")
    if file.recipe.get("merge"):
        return "Merged by this hub from other files, as its creator asked."
    if file.verdict == "suspicious":
        return "The file as its creator saved it. It needs code that is not in it, from another package."
    if is_pickle(file) and file.downloadable:
        return "The file as its creator saved it, a pickle. The safetensors copy holds the same weights and loads faster."
    return "The file as its creator saved it."


def recipe(wanted: dict[str, str]) -> str:
    """{"keep": "weights", "precision": "fp16"} -> "weights alone, half precision (fp16)"."""
    kept, how = wanted.get("keep", "all"), wanted.get("precision", "keep")
    return KEEPS.get(kept, kept) if how == "keep" else f"{KEEPS.get(kept, kept)}, {PRECISIONS.get(how, how)}"


def maker(file: File) -> str:
    if file.role == Role.DERIVED:
        return f"Made by this hub from {file.source.name}" if file.source else "Made by this hub"
    return "Merged by this hub" if file.recipe.get("merge") else "Made by the creator"


def scan_line(file: File, imports: int | None) -> str:
    """The safety line of a file in words; `imports` counts what its pickles name."""
    if level_of(file) != file.verdict:
        return "Refused before its bytes were judged" if file.verdict == "pending" else "Refused, whatever its bytes are"
    if file.verdict != "success":
        return SCAN_LINES.get(file.verdict, "Not scanned yet")
    if imports:  # also of pickles in a bundle
        return f"Pickle: {imports} import{'' if imports == 1 else 's'}, all known"
    if is_pickle(file):
        return "Pickle without imports: nothing would run"
    return f"No code inside ({container(file) or 'plain data'}, structure checked)"


def licence(entry: Entry) -> list[tuple[bool, str]]:
    """The creator's four permissions as (allowed, sentence)."""
    uses = set(entry.allow_commercial_use)
    rows = [
        (entry.allow_no_credit, "Use it without naming the creator" if entry.allow_no_credit else "Name the creator when you use it"),
        (
            entry.allow_derivatives,
            "Share merges and fine-tunes of it" if entry.allow_derivatives else "Do not share merges or fine-tunes of it",
        ),
        (
            entry.allow_different_license,
            "Give merges of it other permissions" if entry.allow_different_license else "Keep these permissions on merges of it",
        ),
    ]
    rows += [(use.value in uses, str(use.label)) for use in CommercialUse]
    return rows


def settings_rows(settings: dict[str, Any]) -> list[tuple[str, Any]]:
    """Recommended settings as (label, value), in the order of a generation form."""
    labels = {
        "weight": "Weight",
        "sampler": "Sampler",
        "steps": "Steps",
        "cfg_scale": "CFG scale",
        "clip_skip": "Clip skip",
        "vae": "VAE",
        "negative_prompt": "Negative prompt",
    }
    return [
        (label, f"{settings[name]:g}" if isinstance(settings[name], float) else settings[name])
        for name, label in labels.items()
        if name in settings
    ]
