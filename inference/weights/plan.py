"""Which tensors an output will hold, under which names and types, and what is left out and why. Decides before a byte is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from inference.weights.recipe import DTYPES, Recipe, stays_exact
from registry.formats.directory import TensorDirectory, TensorEntry
from registry.formats.dtypes import SIZES, WRITE_ORDER
from registry.formats.errors import FormatError, LimitExceeded
from registry.identify.keys import EMA, EMA_COUNTERS, TRAINING, Named, ema_name, unwrap

CASTABLE: frozenset[str] = frozenset({"F64", "F32", "F16", "BF16"})
"""Types that a precision applies to. 8-bit floats come with scales of their own and are never recast."""

SLACK = 16 << 20
MAX_STRIDED = 256 << 20
"""Largest tensor that may lie scattered in its file: gathering reads its span several times."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One tensor of the output: its name and type there, and the entry of the source that it is made of.

    `literal`, where given, is written instead of the source's bytes: a repaired tensor.
    """

    name: str
    dtype: str
    entry: TensorEntry
    literal: bytes | None = None

    @property
    def nbytes(self) -> int:
        return self.entry.numel * SIZES[self.dtype]


@dataclass(slots=True)
class Dropped:
    """Tensors left out for one reason: how many, how many bytes in the source, and the first few names."""

    count: int = 0
    size_bytes: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, name: str, entry: TensorEntry) -> None:
        self.count += 1
        self.size_bytes += entry.nbytes
        if len(self.examples) < 3:
            self.examples.append(name)


@dataclass(slots=True)
class Plan:
    """The output's tensors in writing order; what is dropped, by reason; names that share bytes; remarks for the report.

    `values` names the root keys of the source that hold something other than tensors (epoch, hyper-parameters).
    """

    tensors: list[Planned]
    dropped: dict[str, Dropped]
    shared: list[list[str]]
    notes: list[str]
    values: list[str]

    def sort(self) -> None:
        """Into the order of the reference writer: by type, then by name."""
        self.tensors.sort(key=lambda item: (WRITE_ORDER.index(item.dtype), item.name))


def make_plan(directory: TensorDirectory, recipe: Recipe) -> Plan:
    """What `recipe` makes of this file.

    Tensors that share bytes are written once under each of their names, as A1111 and Civitai's scanner do: every tool then finds every
    name. Raises FormatError `weights:no-tensors`, `weights:no-ema`, `weights:ema-shape`, `weights:duplicate-name`,
    `weights:view-outside`, and LimitExceeded `weights:too-large`.
    """
    named = unwrap(directory)
    dropped: dict[str, Dropped] = {}
    for entry in named.outside:
        reason = "training state" if str(entry.path[0]) in TRAINING else f"outside of {named.root}"
        dropped.setdefault(reason, Dropped()).add(".".join(map(str, entry.path)), entry)
    notes: list[str] = []
    chosen = _choose(named, recipe, dropped, notes)
    if not chosen:
        raise FormatError("weights:no-tensors", "No tensor of this file is model weights, so there is nothing to convert.")
    _check(directory, chosen)
    planned = [Planned(name, _dtype(name, entry, recipe), entry) for name, entry in chosen.items()]
    values = sorted({str(other.path[0]) for other in directory.others if other.path})
    plan = Plan(planned, dropped, _shared(chosen), notes, values)
    plan.sort()
    return plan


def _choose(named: Named, recipe: Recipe, dropped: dict[str, Dropped], notes: list[str]) -> dict[str, TensorEntry]:
    if recipe.keep == "all":
        return dict(named.tensors)
    kept: dict[str, TensorEntry] = {}
    averages: dict[str, TensorEntry] = {}
    for name, entry in named.tensors.items():
        (averages if name.startswith(EMA) else kept)[name] = entry
    if recipe.keep == "ema":
        kept, used = _with_averages(kept, averages)
        notes.append(f"{len(used)} tensors were replaced by their EMA averages.")
        for name in used:
            dropped.setdefault("replaced by EMA", Dropped()).add(name, named.tensors[name])
        taken = {ema_name(weight) for weight in used}
        averages = {name: entry for name, entry in averages.items() if name not in taken}
    for name, entry in averages.items():
        reason = "EMA counters" if name in EMA_COUNTERS else ("EMA" if recipe.keep == "weights" else "EMA without a weight of its name")
        dropped.setdefault(reason, Dropped()).add(name, entry)
    return kept


def _with_averages(kept: dict[str, TensorEntry], averages: dict[str, TensorEntry]) -> tuple[dict[str, TensorEntry], list[str]]:
    """The weights with every average in its weight's place, and the names where that was done."""
    result, used = dict(kept), []
    for name, entry in kept.items():
        average = averages.get(ema_name(name) or "")
        if average is None:
            continue
        if average.shape != entry.shape:
            raise FormatError(
                "weights:ema-shape", "An EMA average has another shape than its weight, so it cannot take its place.", where=name
            )
        result[name] = average
        used.append(name)
    if not used:
        raise FormatError("weights:no-ema", "This file holds no EMA averages, so no EMA variant can be made of it.")
    return result, used


def _dtype(name: str, entry: TensorEntry, recipe: Recipe) -> str:
    cast = recipe.precision != "keep" and entry.dtype in CASTABLE and not stays_exact(name)
    return DTYPES[recipe.precision] if cast else entry.dtype


def _check(directory: TensorDirectory, chosen: dict[str, TensorEntry]) -> None:
    """Every view lies inside its storage, and together they are not many times what the file holds."""
    for name, entry in chosen.items():
        if len(entry.shape) != len(entry.stride) or min((*entry.shape, *entry.stride, entry.offset), default=0) < 0:
            raise FormatError("weights:view-outside", "A tensor's shape or stride is negative or incomplete.", where=name)
        if span(entry) + entry.offset * SIZES[entry.dtype] > directory.storages[entry.storage].size:
            raise FormatError("weights:view-outside", "A tensor reaches beyond the bytes that hold it.", where=name)
        if not entry.contiguous and entry.nbytes > MAX_STRIDED:
            raise LimitExceeded(
                "weights:too-large", "A tensor this large must be stored in one piece. Call .contiguous() and save again.", where=name
            )
    held = sum(storage.size for storage in directory.storages)
    if sum(entry.nbytes for entry in chosen.values()) > 2 * held + SLACK:
        raise LimitExceeded("weights:too-large", "The tensors of this file unfold to many times its size. Save it without expanded views.")


def span(entry: TensorEntry) -> int:
    """Bytes from the first to the last element of a view, both included; 0 for an empty tensor."""
    if prod(entry.shape) == 0:
        return 0
    return (1 + sum((size - 1) * step for size, step in zip(entry.shape, entry.stride, strict=True))) * SIZES[entry.dtype]


def _shared(chosen: dict[str, TensorEntry]) -> list[list[str]]:
    groups: dict[tuple[int, int], list[str]] = {}
    for name, entry in chosen.items():
        if entry.numel:
            groups.setdefault((entry.storage, entry.offset), []).append(name)
    return [sorted(names) for names in groups.values() if len(names) > 1]
