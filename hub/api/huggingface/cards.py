"""The model card of a version: YAML metadata and a page in Markdown. It says what is known when a tree is frozen; it decides nothing.

The same state gives the same bytes. Every text of a creator goes through `markdowntext`, or is quoted by the YAML library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from hub.api.huggingface import cardwords, tags
from hub.api.huggingface.markdowntext import code, line, plain, quoted
from hub.verdicts.sentences import PICKLES
from registry.models import File, Kind, Role, Version

MAX_TAGS, MAX_WIDGETS = 100, 4
SETTINGS = {
    "weight": "Strength", "sampler": "Sampler", "steps": "Steps", "cfg_scale": "CFG scale", "clip_skip": "CLIP skip", "vae": "VAE",
    "negative_prompt": "Negative prompt",
}  # fmt: skip
VARIANTS = {
    ("all", "keep"): "All of the creator's weights, bit for bit, in a format that cannot run code: to train or to merge.",
    ("weights", "keep"): "Without what only training needs; pictures are the same.",
    ("weights", "fp16"): "Half precision, without what only training needs: to make pictures.",
    ("weights", "bf16"): "bf16, without what only training needs.",
    ("ema", "keep"): "The averages that training kept.",
    ("ema", "fp16"): "The averages that training kept, in half precision.",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A preview that everybody may see: its prompt, and where the picture is."""

    prompt: str
    url: str


class _Text(str):
    """A text that is written between double quotes, so that no reader of YAML takes it for a number, a date or a yes."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"'))


def card_data(version: Version, samples: Sequence[Sample] = ()) -> dict[str, Any]:
    """The metadata, as clients read it from the head of README.md and from `cardData`. `version.entry` with its tags is expected."""
    entry = version.entry
    base, kind = cardwords.HUB_MODELS.get(version.base_model), Kind(entry.kind)
    data: dict[str, Any] = {**cardwords.licence_fields(entry)}
    if base:
        data["base_model"] = base
        data |= {"base_model_relation": "adapter"} if kind in cardwords.ADAPTERS else {}
    told = {"library_name": tags.library_of(entry), "pipeline_tag": tags.task_of(entry)}
    data |= {key: value for key, value in told.items() if value}
    data["tags"] = _tags(version)
    if version.trigger_words:
        data["instance_prompt"] = ", ".join(line(word) for word in version.trigger_words)
    if samples:
        data["thumbnail"] = samples[0].url
        data["widget"] = [{"text": line(one.prompt, 500) or "-", "output": {"url": one.url}} for one in samples[:MAX_WIDGETS]]
    return data


def _tags(version: Version) -> list[str]:
    """Those of the entry, as `tags` gives them, and the kin of its base model; the licence has a key of its own."""
    known = [line(tag, 60) for tag in tags.tags_of(version.entry) if not tag.startswith("license:")]
    return [tag for tag in dict.fromkeys([*known, cardwords.family_tag(version.base_model)]) if tag][:MAX_TAGS]


def readme(version: Version, places: Sequence[tuple[str, File]], use: str, samples: Sequence[Sample], notes: Sequence[str]) -> str:
    """The whole file. `places` are paths with their files in the order of the tree, `use` the section on using it, `notes` its remarks."""
    head = yaml.dump(_quoted(card_data(version, samples)), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    entry = version.entry
    told = f"{Kind(entry.kind).label} for {plain(version.base_model)}" if version.base_model else str(Kind(entry.kind).label)
    parts = [f"# {plain(entry.name)}", f"{told}, version {plain(version.name)}, by {plain(entry.owner.username)}."]
    if entry.description.strip():
        parts += ["## What its creator says", quoted(entry.description)]
    if version.description.strip():
        parts += ["## What is new in this version", quoted(version.description)]
    parts += _trigger_words(version) + _settings(version)
    parts += ["## Files", _files(places), *notes] if places else []
    parts += ["## How to use it", use, "## Licence", _licence(version)]
    parts += ["## What the scan said", _scan(places)] if places else []
    return f"---\n{head}---\n\n" + "\n\n".join(parts) + "\n"


def _quoted(value: Any) -> Any:
    """The same with every text that may be a creator's between quotes. Keys are ours."""
    if isinstance(value, dict):
        return {key: _quoted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_quoted(inner) for inner in value]
    return _Text(value) if isinstance(value, str) else value


def _trigger_words(version: Version) -> list[str]:
    if not version.trigger_words:
        return []
    return ["## Trigger words", "\n".join(f"- {code(word)}" for word in version.trigger_words)]


def _settings(version: Version) -> list[str]:
    found = version.settings
    rows = [f"- {label}: {code(_value(found[name]), 2_000)}" for name, label in SETTINGS.items() if name in found]
    return ["## Settings", "\n".join(rows)] if rows else []


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _files(places: Sequence[tuple[str, File]]) -> str:
    rows = [f"| {code(path, cell=True)} | {_size(file.size_bytes)} | {_purpose(file)} |" for path, file in places]
    return "\n".join(["| File | Size | What it is for |", "|---|---:|---|", *rows])


def _size(count: int) -> str:
    """Decimal units, as download pages show them."""
    if count >= 10**9:
        return f"{count / 10**9:.2f} GB"
    return f"{count / 10**6:.1f} MB" if count >= 10**6 else f"{count / 10**3:.1f} kB"


def _purpose(file: File) -> str:
    if file.recipe.get("overflow"):
        return "Numbers of the source do not fit into it; take another file."
    if file.role == Role.DERIVED:
        made = (str(file.recipe.get("keep", "all")), str(file.recipe.get("precision", "keep")))
        return VARIANTS.get(made, "Made by the hub from what the creator uploaded.")
    if file.blob is not None and file.blob.container in PICKLES:
        return "As its creator saved it: a pickle. The safetensors copy holds the same weights."
    return "As its creator uploaded it."


def _licence(version: Version) -> str:
    entry = version.entry
    named = [f"Licence: {code(entry.spdx)}."] if entry.spdx else []
    return "\n".join(f"- {sentence}" for sentence in [*named, *cardwords.permissions(entry)])


def _scan(places: Sequence[tuple[str, File]]) -> str:
    """Only what was found clean, or released, is in a tree that readers see."""
    rows = [f"- {code(path)}: {_found(file)}" for path, file in places]
    return "\n".join(["Every byte was read, and nothing was run to find this out.", "", *rows])


def _found(file: File) -> str:
    blob = file.blob
    if blob is None or not blob.cleared:
        return "not judged yet, or held back."
    if blob.released:
        return "suspicious, and released by a moderator of this hub after a look at it."
    if blob.container in PICKLES:
        return "a pickle; everything that it imports is known and used as weights use it."
    return "no code inside."
