"""What rules may ask of a file: canonical tensor names with their shapes, and the conditions that look for them. No rule is stated here."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from registry.formats.directory import TensorEntry
from registry.identify.keys import EMA, Named

Shape = tuple[int, ...]
Condition = Callable[["Facts"], str | None]
"""Looks at the facts; gives the evidence as a short text, or None where it does not hold."""

PREFIXES: tuple[tuple[str, str], ...] = (
    ("model.diffusion_model.", "unet."),
    ("diffusion_model.", "unet."),
    ("first_stage_model.", "vae."),
    ("cond_stage_model.", "te.0."),
    ("conditioner.embedders.", "te."),
    ("text_encoders.", "te."),
    ("control_model.", "control."),
)
"""What single-file layouts put in front of their parts (ldm, sgm, ComfyUI) and the one name that rules know it by."""

BARE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("zero_convs.0.0.weight",), "control."),
    (("input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight"), "unet."),
    (("joint_blocks.0.context_block.attn.qkv.weight",), "unet."),
    (("double_blocks.0.img_attn.norm.key_norm.scale",), "unet."),
    (("encoder.conv_in.weight", "decoder.conv_in.weight"), "vae."),
)
"""Files that hold one part only, without its prefix: the names that give it away."""


@dataclass(slots=True)
class Facts:
    """Canonical name -> shape and the file's own name, and indexes over the names so that a rule never walks the file.

    `endings` maps the last one, two and three parts of every name to the first name that ends so.
    """

    shapes: dict[str, Shape]
    originals: dict[str, str]
    names: list[str]
    endings: dict[str, str]
    metadata: dict[str, str]
    dtypes: Counter[str] = field(default_factory=Counter)

    def quote(self, name: str) -> str:
        """A tensor as evidence: the name that the file gives it, and its shape."""
        return f"{self.originals[name]} [{', '.join(map(str, self.shapes[name]))}]"

    def first(self, prefix: str) -> str | None:
        """The alphabetically first name that starts with `prefix`."""
        at = bisect_left(self.names, prefix)
        return self.names[at] if at < len(self.names) and self.names[at].startswith(prefix) else None


def facts_of(named: Named, metadata: dict[str, str]) -> Facts:
    """Facts about a model's own tensors: EMA averages are left out, prefixes are made one."""
    own = {name: entry for name, entry in named.tensors.items() if not name.startswith(EMA)} or named.tensors
    bare = next((prefix for marks, prefix in BARE if all(mark in own for mark in marks)), "")
    originals = {canonical(name, bare): name for name in own}
    shapes = {short: own[name].shape for short, name in originals.items()}
    endings: dict[str, str] = {}
    for name in shapes:
        parts = name.split(".")
        for count in (1, 2, 3):
            endings.setdefault(".".join(parts[-count:]), name)
    return Facts(shapes, originals, sorted(shapes), endings, metadata, Counter(_dtypes(own)))


def _dtypes(own: dict[str, TensorEntry]) -> Counter[str]:
    census: Counter[str] = Counter()
    for entry in own.values():
        census[entry.dtype] += entry.numel
    return census


def canonical(name: str, bare: str = "") -> str:
    """One spelling for the same tensor: "model.diffusion_model.out.0.weight" and "diffusion_model.out.0.weight" are "unet.out.0.weight"."""
    for prefix, short in PREFIXES:
        if name.startswith(prefix):
            return short + name[len(prefix) :]
    return bare + name


def has(name: str) -> Condition:
    """A tensor of exactly this name."""
    return lambda facts: facts.quote(name) if name in facts.shapes else None


def starts(prefix: str) -> Condition:
    """Any tensor whose name starts so."""

    def look(facts: Facts) -> str | None:
        found = facts.first(prefix)
        return facts.quote(found) if found else None

    return look


def ends(ending: str) -> Condition:
    """Any tensor whose name ends with this (one to three whole parts)."""

    def look(facts: Facts) -> str | None:
        found = facts.endings.get(ending)
        return facts.quote(found) if found else None

    return look


def size(name: str, axis: int, *wanted: int) -> Condition:
    """A tensor of this name whose dimension `axis` is one of `wanted`."""

    def look(facts: Facts) -> str | None:
        shape = facts.shapes.get(name)
        fits = shape is not None and -len(shape) <= axis < len(shape) and shape[axis] in wanted
        return facts.quote(name) if fits and shape is not None else None

    return look


def ndim(name: str, wanted: int) -> Condition:
    """A tensor of this name with so many dimensions."""

    def look(facts: Facts) -> str | None:
        shape = facts.shapes.get(name)
        return facts.quote(name) if shape is not None and len(shape) == wanted else None

    return look


def lacks(condition: Condition, text: str) -> Condition:
    """Holds where `condition` does not; `text` says so."""
    return lambda facts: f"no {text}" if condition(facts) is None else None


def either(*conditions: Condition) -> Condition:
    """The first of several conditions that holds."""

    def look(facts: Facts) -> str | None:
        return next((text for condition in conditions if (text := condition(facts)) is not None), None)

    return look


def both(first: Condition, second: Condition) -> Condition:
    """Two conditions at once; the evidence is the first one's."""

    def look(facts: Facts) -> str | None:
        text = first(facts)
        return text if text is not None and second(facts) is not None else None

    return look


def says(key: str, *prefixes: str) -> Condition:
    """Metadata whose value under `key` starts with one of `prefixes`, in any case."""

    def look(facts: Facts) -> str | None:
        value = facts.metadata.get(key, "")
        return f"{key} = {value[:80]}" if value.lower().startswith(tuple(prefix.lower() for prefix in prefixes)) else None

    return look
