"""The inputs of a merge before it is planned: whether all are there, what their tensors are called, whether they are of one family."""

from __future__ import annotations

import re

from inference.weights.merging.recipe import MergeRecipe
from inference.weights.quantised import quantised_by
from registry.formats.directory import TensorDirectory, TensorEntry
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.identify.agreement import same_family
from registry.identify.detect import identify
from registry.identify.fitting import fits
from registry.identify.keys import unwrap

NEEDED: dict[str, str] = {
    "a": "A merge needs a primary model (A).",
    "b": "This method needs a secondary model (B).",
    "c": "Add difference needs a tertiary model (C): what is added is B - C.",
    "vae": "A VAE is to be baked in, but none is given.",
}

OLD_CLIP = re.compile(r"cond_stage_model\.transformer\.(?=embeddings\.|encoder\.|final_layer_norm\.)")
OLD_CLIP_BECOMES = "cond_stage_model.transformer.text_model."
"""NovelAI's spelling of the text encoder, which A1111 (sd_models.py) renames in everything that it reads, so in merges as well."""

TURBO, TURBO_BECOMES = "conditioner.embedders.0.", "cond_stage_model."
TURBO_SIGN, TURBO_WIDTH = "conditioner.embedders.0.model.ln_final.weight", 1024
"""SD 2.1 Turbo's spelling of its text encoder, known by this tensor's length, which A1111 renames likewise."""

LATENT_CHANNELS = 4
SPECIAL_CHANNELS = {9: "an inpainting model", 8: "an instruct-pix2pix model"}
"""Input channels of UNets that see more than the latents (A1111 extras.py): only the first four are merged with a normal model's."""

BYTES = frozenset({"U8", "I8"})


def need_roles(directories: dict[str, TensorDirectory], recipe: MergeRecipe) -> None:
    """Raises FormatError `merge:missing-input` where the files given are not those that the recipe needs, `merge:not-safetensors`."""
    for role in recipe.roles:
        if role not in directories:
            raise FormatError(
                "merge:missing-input", NEEDED.get(role, f"LoRA {role.removeprefix('lora')} is to be baked in, but not given.")
            )
    for role in directories:
        if role not in recipe.roles:
            raise FormatError("merge:missing-input", f"The recipe has no use for the file given as {printable(role, 20)!r}. Leave it out.")
        if directories[role].container != "safetensors":
            raise FormatError("merge:not-safetensors", f"{capital(label(role))} is no safetensors file; convert it first.")


def label(role: str) -> str:
    """What sentences call an input."""
    if role.startswith("lora"):
        return f"LoRA {int(role.removeprefix('lora')) + 1}"
    return "the VAE" if role == "vae" else f"model {role.upper()}"


def named_tensors(role: str, directory: TensorDirectory) -> dict[str, TensorEntry]:
    """Name -> tensor of an input, in A1111's spelling of names.

    Raises FormatError `merge:quantised` for models whose numbers are codes, `weights:duplicate-name` for one tensor under two spellings.
    """
    found: dict[str, TensorEntry] = {}
    tensors = unwrap(directory).tensors
    marked = quantised_by(tensors)
    if marked is not None:
        raise _quantised(role, marked[1], f"a part of {marked[0]}")
    turbo = TURBO_SIGN in tensors and tensors[TURBO_SIGN].shape[:1] == (TURBO_WIDTH,)
    for name, entry in tensors.items():
        check_number(role, name, entry)
        spelled = _spelled(name, turbo)
        if spelled in found:
            sentence = f"{capital(label(role))} holds {printable(spelled)} twice, in an old and a new spelling. Save it with one of them."
            raise FormatError("weights:duplicate-name", sentence)
        found[spelled] = entry
    return found


def _spelled(name: str, turbo: bool) -> str:
    if turbo:
        return TURBO_BECOMES + name.removeprefix(TURBO) if name.startswith(TURBO) else name
    return OLD_CLIP.sub(OLD_CLIP_BECOMES, name, count=1) if OLD_CLIP.match(name) else name


def check_number(role: str, name: str, entry: TensorEntry) -> None:
    """Raises FormatError `merge:quantised` for a tensor that cannot be averaged: 8-bit floats and codes."""
    if entry.dtype.startswith("F8_") or (entry.dtype in BYTES and name.endswith(".weight") and len(entry.shape) > 1):
        raise _quantised(role, name, entry.dtype)


def _quantised(role: str, name: str, what: str) -> FormatError:
    sentence = (
        f"{capital(label(role))} is stored quantised ({printable(name)} is {what}), and codes cannot be merged. "
        "Use its fp16, bf16 or fp32 file."
    )
    return FormatError("merge:quantised", sentence, where=printable(name))


def capital(text: str) -> str:
    """A label at the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def check_families(directories: dict[str, TensorDirectory], recipe: MergeRecipe) -> list[str]:
    """Raises FormatError `merge:families` where two inputs are proved to be of different families; gives notes on what is not known.

    A LoRA of a sister family (SD 3's for SD 3.5 Medium) is taken where all of its layers have their places.
    """
    found = {role: identify(directories[role]) for role in recipe.roles if role != "vae"}
    first = found["a"]
    notes = []
    for role, other in found.items():
        if not role.startswith("lora") and other.kind == "lora":
            sentence = f"{capital(label(role))} is no model but a {other.flavour}. Add it as a LoRA that is baked in."
            raise FormatError("merge:families", sentence)
        if role in ("b", "c") and other.kind == "vae" and first.kind != "vae":
            raise FormatError("merge:families", f"{capital(label(role))} is no model but a VAE. Give it as the VAE that is baked in.")
        if same_family(first.family, other.family) is False and not _is_sister(role, other.family, first.family, directories):
            sentence = f"{capital(label(role))} is {other.family} and model A is {first.family}. Only files of one family fit together."
            raise FormatError("merge:families", sentence)
        if not other.family:
            notes.append(f"The family of {label(role)} is not known; its shapes alone were compared.")
    return notes


def _is_sister(role: str, family: str, model: str, directories: dict[str, TensorDirectory]) -> bool:
    related = family.startswith(model) or model.startswith(family)
    return related and role.startswith("lora") and fits(directories[role], directories["a"]).fits is True
