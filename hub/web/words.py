"""Plain words for what the hub knows: precision, containers, licences, states, failures. Says; never decides."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from hub.outcomes import overflow_of
from hub.verdicts.reports import level_of
from hub.verdicts.sentences import PICKLES
from registry.models import CommercialUse, Entry, File, Role, Version

KEEPS = {
    "all": gettext_lazy("all weights"),
    "weights": gettext_lazy("weights alone"),
    "ema": gettext_lazy("averaged (EMA) weights"),
}
VISIBILITIES = (gettext_lazy("private"), gettext_lazy("unlisted"), gettext_lazy("group"))
"""Who sees a model, in one word each; templates ask the catalogues for them by their names."""
PRECISIONS = {
    "fp16": gettext_lazy("half precision (fp16)"),
    "bf16": gettext_lazy("half precision (bf16)"),
    "fp32": gettext_lazy("full precision (fp32)"),
    "fp64": gettext_lazy("double precision (fp64)"),
    "fp8": gettext_lazy("8-bit floats (fp8)"),
    "mixed": gettext_lazy("mixed precision"),
}
TITLES = {
    ("weights", "fp16"): gettext_lazy("Half precision (fp16)"),
    ("weights", "bf16"): gettext_lazy("Half precision (bf16)"),
    ("weights", "fp32"): gettext_lazy("Pruned, full precision (fp32)"),
    ("weights", "keep"): gettext_lazy("Pruned"),
    ("ema", "fp16"): gettext_lazy("Averages only (EMA), half precision (fp16)"),
    ("ema", "bf16"): gettext_lazy("Averages only (EMA), half precision (bf16)"),
    ("ema", "keep"): gettext_lazy("Averages only (EMA)"),
    ("all", "fp16"): gettext_lazy("Everything, half precision (fp16)"),
    ("all", "bf16"): gettext_lazy("Everything, half precision (bf16)"),
    ("all", "keep"): gettext_lazy("The original as safetensors"),
}
VARIANTS = {
    ("weights", "fp16"): gettext_lazy("Same pictures for nearly everyone, at a fraction of the size. Take this one to make pictures."),
    ("weights", "bf16"): gettext_lazy(
        "Same pictures for nearly everyone, at a fraction of the size. Coarser than fp16, but nothing overflows: for newer GPUs."
    ),
    ("weights", "keep"): gettext_lazy("Training leftovers removed, pictures identical."),
    ("ema", "fp16"): gettext_lazy("Uses the averages that training kept: often a little smoother pictures. Half precision."),
    ("ema", "keep"): gettext_lazy("Uses the averages that training kept: often a little smoother pictures."),
    ("all", "keep"): gettext_lazy(
        "The creator's weights, bit for bit, in a format that cannot run code. Keep it only to train or to merge."
    ),
}
STEPS = {
    "received": gettext_lazy("Received"),
    "verified": gettext_lazy("Verified"),
    "hash": gettext_lazy("Hashed"),
    "scan": gettext_lazy("Scanned"),
    "identify": gettext_lazy("Identified"),
    "convert": gettext_lazy("Converted to safetensors"),
    "ready": gettext_lazy("Ready"),
    "previews": gettext_lazy("Previews"),
    "published": gettext_lazy("Published"),
    "rescan": gettext_lazy("Verdict changed"),
    "released": gettext_lazy("Released by a moderator"),
    "quarantined": gettext_lazy("Sealed in quarantine"),
}
STATES = {
    "uploading": (gettext_lazy("Arriving"), gettext_lazy("Parts of this file are still missing.")),
    "queued": (gettext_lazy("Waiting"), gettext_lazy("Stored. A worker reads it next.")),
    "scanning": (gettext_lazy("Being examined"), gettext_lazy("Hashing, scanning and identifying.")),
    "clean": (gettext_lazy("Found clean"), gettext_lazy("No code inside. It is made ready next.")),
    "converting": (gettext_lazy("Converting"), gettext_lazy("Writing a safetensors copy that cannot run code.")),
    "danger": (gettext_lazy("Dangerous"), gettext_lazy("It is being sealed away.")),
    "ready": (gettext_lazy("Ready"), gettext_lazy("It may be downloaded once its version is published.")),
    "quarantined": (gettext_lazy("Quarantined"), gettext_lazy("It is sealed away and nobody can download it.")),
    "failed": (gettext_lazy("Failed"), gettext_lazy("The hub could not take this file.")),
}
SCAN_LINES = {
    "suspicious": gettext_lazy("Suspicious: it needs something that weights do not"),
    "danger": gettext_lazy("Quarantined: not safe to load"),
    "error": gettext_lazy("Not readable to its end, so not offered"),
}
CONTAINERS = {
    "safetensors": gettext_lazy("safetensors"),
    "torch-zip": gettext_lazy("pickle in a zip (torch)"),
    "torch-legacy": gettext_lazy("pickle (old torch format)"),
    "torch-tar": gettext_lazy("pickle in a tar (oldest torch format)"),
    "pickle": gettext_lazy("pickle"),
    "npy": gettext_lazy("numpy array"),
    "npz": gettext_lazy("numpy arrays in a zip"),
    "gguf": gettext_lazy("GGUF"),
    "onnx": gettext_lazy("ONNX"),
    "bundle": gettext_lazy("zip bundle"),
    "keras": gettext_lazy("Keras model"),
    "hdf5": gettext_lazy("HDF5"),
    "image": gettext_lazy("picture"),
    "text": gettext_lazy("text"),
}


def step_name(step: str) -> str:
    """`make pruned-fp16` -> "Made variant pruned-fp16"."""
    if step == "make variants":
        return _("Made variants")
    if step.startswith("make "):
        return _("Made variant %(name)s") % {"name": step.removeprefix("make ")}
    return str(STEPS.get(step, step.capitalize()))


def container(file: File) -> str:
    kind = file.blob.container if file.blob else ""
    return str(CONTAINERS.get(kind, kind))


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


def title(file: File) -> str:
    """What a file is, in a few words: "Half precision (fp16)", "Pruned", "The original pickle"."""
    if file.role == Role.DERIVED:
        key = (file.recipe.get("keep", "all"), file.recipe.get("precision", "keep"))
        return str(TITLES.get(key, recipe(file.recipe).capitalize()))
    if is_pickle(file):
        return _("The original pickle (.ckpt, .pt), with training leftovers") if leftovers(file) else _("The original pickle (.ckpt, .pt)")
    if leftovers(file):
        return _("Full, with training leftovers")
    known = PRECISIONS.get(precision(file))
    return str(known)[:1].upper() + str(known)[1:] if known else _("As its creator saved it")


def leftovers(file: File) -> bool:
    """Whether a file holds what only training needs: averages beside the weights, or the state of an optimizer."""
    detected = file.blob.detected if file.blob else {}
    return bool(detected.get("has_ema") or detected.get("has_training_state"))


def about_file(file: File) -> str:
    """One sentence or two on what a file is for."""
    if overflow_of(file):
        return _("Numbers of the source do not fit into it. It is here because it was made; take another file.")
    if file.role == Role.DERIVED:
        key = (file.recipe.get("keep", "all"), file.recipe.get("precision", "keep"))
        return str(VARIANTS.get(key) or _("Made here: %(recipe)s.") % {"recipe": recipe(file.recipe)})
    if file.recipe.get("merge"):
        return _("Merged by this hub from other files, as its creator asked.")
    return _about_upload(file)


def _about_upload(file: File) -> str:
    if file.verdict == "suspicious":
        return _("The file as its creator saved it. It needs code that is not in it, from another package.")
    if is_pickle(file) and file.downloadable:
        return _("For old programs alone. The safetensors copy holds the same weights, cannot run code and loads faster.")
    if leftovers(file):
        return _("The file as its creator saved it, with what only training needs. Keep it only to train or to merge.")
    return _("The file as its creator saved it.")


def recipe(wanted: dict[str, Any]) -> str:
    """{"keep": "weights", "precision": "fp16"} -> "weights alone, half precision (fp16)"."""
    kept, how = wanted.get("keep", "all"), wanted.get("precision", "keep")
    what = str(KEEPS.get(kept, kept))
    return what if how == "keep" else _("%(what)s, %(how)s") % {"what": what, "how": PRECISIONS.get(how, how)}


def maker(file: File) -> str:
    if file.role == Role.DERIVED:
        return _("Made by this hub from %(name)s.") % {"name": file.source.name} if file.source else _("Made by this hub.")
    return _("Merged by this hub.") if file.recipe.get("merge") else _("Made by the creator.")


def scan_line(file: File, imports: int | None) -> str:
    """The safety line of a file in words; `imports` counts what its pickles name."""
    if level_of(file) != file.verdict:
        return _("Refused before its bytes were judged") if file.verdict == "pending" else _("Refused, whatever its bytes are")
    if file.verdict != "success":
        return str(SCAN_LINES.get(file.verdict) or _("Not scanned yet"))
    if imports:  # also of pickles in a bundle
        return ngettext("Pickle: %(n)d import, all known", "Pickle: %(n)d imports, all known", imports) % {"n": imports}
    if is_pickle(file):
        return _("Pickle without imports: nothing would run")
    return _("No code inside (%(container)s, structure checked)") % {"container": container(file) or _("plain data")}


def licence(entry: Entry) -> list[tuple[bool, str]]:
    """The creator's four permissions as (allowed, sentence)."""
    uses = set(entry.allow_commercial_use)
    credit, change, other = entry.allow_no_credit, entry.allow_derivatives, entry.allow_different_license
    rows = [
        (credit, _("Use it without naming the creator") if credit else _("Name the creator when you use it")),
        (change, _("Share merges and fine-tunes of it") if change else _("Do not share merges or fine-tunes of it")),
        (other, _("Give merges of it other permissions") if other else _("Keep these permissions on merges of it")),
    ]
    rows += [(use.value in uses, str(use.label)) for use in CommercialUse]
    return rows


def settings_rows(settings: dict[str, Any]) -> list[tuple[str, Any]]:
    """Recommended settings as (label, value), in the order of a generation form."""
    labels = {
        "weight": _("Weight"),
        "sampler": _("Sampler"),
        "steps": _("Steps"),
        "cfg_scale": _("CFG scale"),
        "clip_skip": _("Clip skip"),
        "vae": _("VAE"),
        "negative_prompt": _("Negative prompt"),
    }
    return [
        (label, f"{settings[name]:g}" if isinstance(settings[name], float) else settings[name])
        for name, label in labels.items()
        if name in settings
    ]


def settings_text(version: Version, prompt: str) -> str:
    """The recommended settings as A1111 writes them below a picture: pasted into its prompt, its arrow button takes them apart again."""
    named = {
        "Steps": version.steps,
        "Sampler": version.sampler,
        "CFG scale": version.cfg_scale,
        "Clip skip": version.clip_skip,
        "VAE": version.vae,
    }
    last = ", ".join(f"{name}: {_infotext(value)}" for name, value in named.items() if value not in (None, ""))
    negative = f"Negative prompt: {version.negative_prompt}" if version.negative_prompt else ""
    return "\n".join(line for line in (prompt, negative, last) if line)


def _infotext(value: object) -> str:
    """A value of the last line; quoted as JSON where it holds what divides values there (A1111, `infotext_utils.quote`)."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text
