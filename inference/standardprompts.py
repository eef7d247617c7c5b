"""The prompts that every version is rendered with whose owner names none: the same for all of a kind, so that versions can be compared.

Words only. `{trigger}` marks where trigger words or an embedding's own word are put in.
"""

from __future__ import annotations

from registry.models import Kind

TRIGGER = "{trigger}"
NEGATIVE = "blurry, low quality, watermark, text"

SCENES = (
    "portrait of an old fisherman with a white beard, {trigger}, soft window light, detailed face",
    "a mountain lake at sunrise, {trigger}, pine trees, mist over the water, wide view",
    "a red fox sitting in fresh snow, {trigger}, looking at the viewer, full body",
    "still life with lemons and a blue vase on a wooden table, {trigger}, morning light",
    "a small stone church on a hill, {trigger}, cobbled path, autumn leaves, clear sky",
    "illustration of a sailing ship among clouds, {trigger}, bright colors, detailed",
)
"""Portrait, landscape, animal, still life, architecture, illustration: what people look at first, and what models differ in."""

SUBJECTS = (
    "{trigger}, portrait, soft window light",
    "{trigger}, full body, standing in a meadow, sunny day",
    "{trigger}, close-up, dark background",
    "{trigger}, in a city street at night, neon lights",
    "{trigger}, on a beach, sunset, wide view",
    "{trigger}, watercolor painting",
)
"""For a word that may be a thing, a person or a style: six surroundings that leave it room."""

_BY_KIND = {Kind.EMBEDDING: SUBJECTS}


def standard(kind: str) -> tuple[str, ...]:
    """The six prompts of a kind of entry."""
    return _BY_KIND.get(Kind(kind), SCENES) if kind in Kind.values else SCENES


def with_word(prompt: str, word: str) -> str:
    """`prompt` with `word` in its place; without a place, in front, unless it is there already. An empty word leaves no gap."""
    if TRIGGER in prompt:
        return tidied(prompt.replace(TRIGGER, word))
    if not word or word.casefold() in prompt.casefold():
        return tidied(prompt)
    return f"{word}, {tidied(prompt)}"


def tidied(prompt: str) -> str:
    """Without the empty places between commas that a missing word leaves; lines stay."""
    lines = (", ".join(part for piece in line.split(",") if (part := piece.strip())) for line in prompt.split("\n"))
    return "\n".join(lines).strip()
