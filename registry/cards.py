"""Reads model cards: the YAML at the head of a README.md, and the words below it. Everything in it is somebody's claim, kept as text.

Fields as the Hub's model cards name them (huggingface_hub, repocard_data.py); no tag makes an object, no alias is followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.identify.agreement import family_of

MAX_HEAD = 20_000
"""Characters of YAML; the longest published cards have about 10,000. PyYAML reads some 70,000 a second."""
MAX_BODY = 50_000
"""Characters of a description, as the edit page takes."""
MAX_WORDS, MAX_WORD = 30, 200
_HEAD = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)

LICENCES = {
    name.lower(): name
    for name in (
        "CreativeML-OpenRAIL-M", "Apache-2.0", "MIT", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0",
        "CC-BY-ND-4.0", "CC-BY-NC-ND-4.0", "GPL-3.0", "AGPL-3.0", "LGPL-3.0", "BSD-3-Clause", "BSD-2-Clause", "MPL-2.0", "Unlicense",
    )
} | {"openrail++": "CreativeML-OpenRAIL++-M", "creativeml-openrail++-m": "CreativeML-OpenRAIL++-M"}  # fmt: skip
"""A card's licence (lower case) -> its SPDX identifier as this hub writes it."""

BASES = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "SD 1.5",
    "runwayml/stable-diffusion-v1-5": "SD 1.5",
    "compvis/stable-diffusion-v1-4": "SD 1.4",
    "stabilityai/stable-diffusion-2": "SD 2.0",
    "stabilityai/stable-diffusion-2-base": "SD 2.0",
    "stabilityai/stable-diffusion-2-1": "SD 2.1",
    "stabilityai/stable-diffusion-2-1-base": "SD 2.1",
    "stabilityai/stable-diffusion-xl-base-1.0": "SDXL 1.0",
    "stabilityai/sdxl-turbo": "SDXL Turbo",
    "stabilityai/stable-diffusion-3-medium-diffusers": "SD 3",
    "stabilityai/stable-diffusion-3-medium": "SD 3",
    "stabilityai/stable-diffusion-3.5-large": "SD 3.5",
    "stabilityai/stable-diffusion-3.5-medium": "SD 3.5 Medium",
    "black-forest-labs/flux.1-dev": "Flux.1 D",
    "black-forest-labs/flux.1-schnell": "Flux.1 S",
}
"""Repository that a card names as base (lower case) -> base model as this hub's lists spell it (Civitai's)."""


class _Plain(yaml.BaseLoader):
    """Texts, lists and mappings only; an alias, which could make a small text large, is refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("Aliases (*name) are not taken.")
        return super().compose_node(parent, index)


@dataclass(frozen=True, slots=True)
class Card:
    """What a README.md says of its model, trimmed to what an entry keeps; "" and () for what it does not say."""

    base_model: str = ""
    spdx: str = ""
    tags: tuple[str, ...] = ()
    trigger_words: tuple[str, ...] = ()
    description: str = ""


def split(text: str) -> tuple[str, str]:
    """(YAML, words) of a README.md; the YAML is "" where it has none."""
    head = _HEAD.match(text)
    return (head[1], text[head.end() :]) if head else ("", text)


def metadata(head: str) -> dict[str, Any]:
    """The YAML of a card as texts, lists and mappings. Raises `FormatError` `card:yaml` with what is wrong, and where."""
    if len(head) > MAX_HEAD:
        raise FormatError("card:yaml", f"The metadata of README.md has {len(head):,} characters; at most {MAX_HEAD:,} are read.")
    try:
        found = yaml.load(head, Loader=_Plain)  # noqa: S506  (makes texts, lists and mappings only)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        why = printable(str(getattr(error, "problem", None) or error or "nested too deeply"), 200)
        raise FormatError("card:yaml", f"The metadata of README.md is not YAML{where}: {why}") from None
    if found in (None, ""):
        return {}
    if not isinstance(found, dict):
        raise FormatError("card:yaml", "The metadata of README.md must be a list of `name: value` lines.")
    return {str(key): value for key, value in found.items()}


def read(content: bytes) -> Card:
    """The card of a README.md. What is wrong with it leaves it empty: a text is kept as it is whatever it says of itself."""
    try:
        head, body = split(content.decode())
        data = metadata(head)
    except (FormatError, UnicodeDecodeError):
        return Card()
    return Card(
        base_model=next((base for text in _texts(data.get("base_model")) if (base := _base(text))), ""),
        spdx=_licence(data.get("license")),
        tags=_lines(data.get("tags"), 60),
        trigger_words=_words(data.get("instance_prompt")),
        description=body.strip().replace("\x00", "")[:MAX_BODY],
    )


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one.strip()]


def _lines(value: Any, length: int) -> tuple[str, ...]:
    """Texts as single lines that may be shown; what cannot be is left out."""
    lines = [" ".join(text.split()) for text in _texts(value)[:MAX_WORDS]]
    return tuple(dict.fromkeys(line for line in lines if len(line) <= length and line == printable(line, length)))


def _words(value: Any) -> tuple[str, ...]:
    """Trigger words: an `instance_prompt`, whose commas separate them as the hub's own cards write it."""
    return _lines([word for text in _texts(value) for word in text.split(",")], MAX_WORD)


def _base(text: str) -> str:
    known = BASES.get(text.strip().lower())
    return known or (text.strip()[:60] if family_of(text.strip()) and text == printable(text, 60) else "")


def _licence(value: Any) -> str:
    given = next(iter(_texts(value)), "").strip()
    if given.lower() in {"", "other", "unknown"}:
        return ""
    known = LICENCES.get(given.lower())
    return known or (given if re.fullmatch(r"[A-Za-z0-9.+-]{1,80}", given) else "")
