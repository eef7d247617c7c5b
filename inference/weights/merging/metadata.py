"""The `__metadata__` of a merged file: the sources' own, A1111's record of the merge, and ours. It writes no file."""

from __future__ import annotations

import json
from typing import Any

from inference.weights.merging.plan import MergePlan
from inference.weights.merging.recipe import MAX_NAME, MergeRecipe, Origin
from inference.weights.metadata import OURS, SPEC, without_places
from registry.formats.directory import TensorDirectory
from registry.formats.plaintext import printable

MERGER_VERSION = "1"
"""Raised when the same inputs and recipe would give other bytes."""

PLAIN = {"format": "pt"}
A1111_METHODS: dict[str, str] = {
    "weighted_sum": "Weighted sum",
    "add_difference": "Add difference",
    "slerp": "Slerp",
    "no_interpolation": "No interpolation",
}
"""Our methods in A1111's words; slerp is none of its own."""
MAX_ANCESTORS = 500
MAX_JSON = 4 << 20
"""Models that are taken over from the sources' records of merges, and characters of such a record that are read at all."""


def merge_metadata(plan: MergePlan, directories: dict[str, TensorDirectory], origins: dict[str, Origin]) -> dict[str, str]:
    """All entries of the result's `__metadata__`, as `plan.recipe` asks for them; {} for none.

    The sources' entries are copied from A, then B, then C (the later wins, as in A1111), without hashes of the sources, what an earlier
    tool of ours wrote, and places on the maker's machine. Of ModelSpec's entries only A's are copied where ours go along.
    """
    recipe = plan.recipe
    if recipe.metadata in ("plain", "none"):
        return dict(PLAIN) if recipe.metadata == "plain" else {}
    models = [role for role in ("a", "b", "c") if role in directories]
    found: dict[str, str] = {}
    for role in models if recipe.copy_metadata else ():
        found |= {key: text for key, text in without_places(directories[role].metadata).items() if not _of_another(key, role, recipe)}
    found |= PLAIN
    found["sd_merge_recipe"] = json.dumps(_a1111_recipe(plan, origins))
    found["sd_merge_models"] = json.dumps(_ancestors([(directories[role], origins.get(role, Origin())) for role in models]))
    return found | _ours(recipe, plan, origins) if recipe.metadata == "full" else found


def _of_another(key: str, role: str, recipe: MergeRecipe) -> bool:
    """ModelSpec's words (title, architecture ...) are about one file; the result has A's layout, and is neither B nor C."""
    return recipe.metadata == "full" and role != "a" and key.startswith(SPEC)


def _a1111_recipe(plan: MergePlan, origins: dict[str, Origin]) -> dict[str, Any]:
    """Its keys, in its order (modules/extras.py); what it does not know (slerp, block weights, LoRAs) makes the type ours."""
    recipe = plan.recipe
    hashes = {role: origins[role].sha256 or None for role in origins}
    said: dict[str, Any] = {
        "type": "webui",
        "primary_model_hash": hashes.get("a"),
        "secondary_model_hash": hashes.get("b"),
        "tertiary_model_hash": hashes.get("c"),
        "interp_method": A1111_METHODS[recipe.method],
        "multiplier": recipe.multiplier,
        "save_as_half": recipe.precision == "fp16",
        "custom_name": recipe.name,
        "config_source": 0,
        "bake_in_vae": (_name(origins.get("vae", Origin())) or "VAE") if recipe.vae else "None",
        "discard_weights": recipe.discard,
        "is_inpainting": plan.is_inpainting,
        "is_instruct_pix2pix": plan.is_pix2pix,
    }
    if recipe.method == "slerp" or recipe.blocks or recipe.loras:
        said["type"] = "weighhouse"
    if recipe.blocks:
        said["block_weights"] = list(recipe.blocks)
    if recipe.loras:
        said["loras"] = [
            {"hash": hashes.get(f"lora{number}"), "name": _name(origins.get(f"lora{number}", Origin())), "strength": strength}
            for number, strength in enumerate(recipe.loras)
        ]
    return said


def _ancestors(models: list[tuple[TensorDirectory, Origin]]) -> dict[str, Any]:
    """sha256 -> what is known of a model, with what the models themselves say of theirs. A model whose hash is unknown is left out."""
    found: dict[str, Any] = {}
    for directory, origin in models:
        if origin.sha256:
            known = {"name": _name(origin), "legacy_hash": origin.autov1 or None, "sd_merge_recipe": _parsed(directory, "sd_merge_recipe")}
            found[origin.sha256] = known
        earlier = _parsed(directory, "sd_merge_models")
        for key, value in list((earlier if isinstance(earlier, dict) else {}).items())[:MAX_ANCESTORS]:
            found[printable(str(key), 64)] = value
    return found


def _name(origin: Origin) -> str:
    """A name that may go into a header: file names may hold bytes that are no text."""
    return printable(origin.name, MAX_NAME)


def _parsed(directory: TensorDirectory, key: str) -> Any:
    """A JSON object in the metadata; None for what is missing, too long or no JSON."""
    text = directory.metadata.get(key, "")
    if not text.startswith("{") or len(text) > MAX_JSON:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _ours(recipe: MergeRecipe, plan: MergePlan, origins: dict[str, Origin]) -> dict[str, str]:
    entries = {
        f"{OURS}merge": json.dumps(recipe.to_json(), sort_keys=True),
        f"{OURS}merger": MERGER_VERSION,
        f"{OURS}sources": json.dumps({role: origin.sha256 for role, origin in sorted(origins.items()) if origin.sha256}),
    }
    names = [_name(origins[role]) for role in ("a", "b", "c") if role in origins and origins[role].name]
    if names:
        entries[f"{SPEC}merged_from"] = ", ".join(names)
    if recipe.name:
        entries[f"{SPEC}title"] = recipe.name
    return entries
