"""What rules may ask of a file: canonical tensor names with their shapes, what its adapters make, metadata. No rule is stated here."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.formats.directory import TensorEntry
from registry.identify.adapternames import adapters
from registry.identify.canonical import spelled
from registry.identify.factors import FACTORS, extent, rank
from registry.identify.keys import EMA, Named
from registry.identify.names import address

Shape = tuple[int, ...]

NUMBERS = re.compile(r"(?<![0-9a-zA-Z])\d+(?![0-9a-zA-Z])", re.ASCII)
DEPTH = re.compile(r"(?:_attentions_\d+|_1)_transformer_blocks_(\d{1,3})_")
"""A transformer inside of a UNet's block: diffusers' and ldm's spelling. Transformers without a UNet have no block before it."""


MAX_MODULES = 20_000
"""Adapted modules that are looked at; further ones are only counted. The largest models have some three thousand layers."""

WATCHED: tuple[str, ...] = (
    ".dfl.conv.weight",
    ".proto.cv1.conv.weight",
    ".quant_state.bitsandbytes__nf4",
    ".quant_state.bitsandbytes__fp4",
    ".qweight",
    ".wscales",
    "scaled_fp8",
    ".scale_weight",
    ".weight_scale",
)
"""Endings that rules ask for; none is the end of another."""


@dataclass(slots=True)
class Facts:
    """Canonical name -> shape, and indexes over the names so that a rule never walks the file.

    Adapted modules are among the names, as `lora.<part>.<layers with # for their number>`; their shape is that of the weight which
    their factors make, (out, in, ...). `highest` is the greatest first number under such a name. `endings` maps each of
    `WATCHED` to a name that ends so; `roles` an adapter's role to a tensor that plays it.
    """

    metadata: dict[str, str]
    shapes: dict[str, Shape] = field(default_factory=dict)
    originals: dict[str, str] = field(default_factory=dict)
    real: dict[str, Shape] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    endings: dict[str, str] = field(default_factory=dict)
    roles: dict[str, tuple[str, Shape]] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, int] = field(default_factory=dict)
    modules: int = 0
    tensors: int = 0
    depth: int = 0
    rank: int | None = None
    answers: dict[str, Any] = field(default_factory=dict)

    def quote(self, name: str) -> str:
        """A tensor as evidence: the name that the file gives it, and its shape."""
        return quoted(self.originals[name], self.real.get(name, self.shapes[name]))

    def first(self, prefix: str) -> str | None:
        """The alphabetically first name that starts with `prefix`."""
        at = bisect_left(self.names, prefix)
        return self.names[at] if at < len(self.names) and self.names[at].startswith(prefix) else None


def quoted(name: str, shape: Shape) -> str:
    """A tensor's name and shape in one line."""
    return f"{name[:300]} [{', '.join(map(str, shape))}]"


def facts_of(named: Named, metadata: dict[str, str]) -> Facts:
    """Facts about a model's own tensors: EMA averages are left out, prefixes are made one, adapters are put together."""
    own = {name: entry for name, entry in named.tensors.items() if not name.startswith(EMA)} or named.tensors
    facts = Facts(metadata, tensors=len(own))
    census = facts.dtypes
    for entry in own.values():
        census[entry.dtype] = census.get(entry.dtype, 0) + entry.numel
    used = _add_adapters(facts, own)
    originals = spelled(own.keys() - used if used else own.keys())
    for name, original in originals.items():
        facts.shapes[name] = own[original].shape
        if name.endswith(WATCHED):
            facts.endings.setdefault(next(ending for ending in WATCHED if name.endswith(ending)), name)
    facts.originals.update(originals)
    facts.names = sorted(facts.shapes)
    return facts


def _add_adapters(facts: Facts, own: Mapping[str, TensorEntry]) -> set[str]:
    """Put the adapted modules among the facts; returns the names of their tensors."""
    used: set[str] = set()
    for module, roles in sorted(adapters(own).items()):
        if not FACTORS & roles.keys():
            continue
        used.update(roles.values())
        facts.modules += 1
        if facts.modules > MAX_MODULES:
            continue
        shapes = {role: own[name].shape for role, name in roles.items()}
        for role, name in roles.items():
            facts.roles.setdefault(role, (name, shapes[role]))
        facts.rank = facts.rank or rank(shapes)
        _add_module(facts, module, extent(shapes) or (), roles[min(roles, key=_telling)], own)
    return used


def _telling(role: str) -> tuple[int, str]:
    """Order in which an adapter's tensors are shown as evidence: factors next to the input, which have its width, come first."""
    return (0 if role in {"down", "hada_w1_b", "lokr_w2", "lokr_w2_b", "diff", "b1"} else 1, role)


def _add_module(facts: Facts, module: str, made: Shape, example: str, own: Mapping[str, TensorEntry]) -> None:
    part, layer = address(module)
    number = NUMBERS.search(layer)
    name = f"lora.{part}.{NUMBERS.sub('#', layer)}"
    if name not in facts.shapes or (made and not facts.shapes[name]):
        facts.shapes[name], facts.originals[name], facts.real[name] = made, example, own[example].shape
    if number and len(number[0]) <= 3:
        facts.highest[name] = max(facts.highest.get(name, 0), int(number[0]))
    inside = DEPTH.search(layer) if "_transformer_blocks_" in layer else None
    if inside:
        facts.depth = max(facts.depth, int(inside[1]) + 1)
