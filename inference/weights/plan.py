"""Which tensors an output will hold, under which names and types, and what is left out and why. Decides before a byte is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inference.weights.quantised import quantised_by
from inference.weights.recipe import DTYPES, Recipe, stays_exact
from registry.formats.directory import TensorDirectory, TensorEntry
from registry.formats.dtypes import SIZES, WRITE_ORDER
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import printable
from registry.identify.keys import EMA, EMA_COUNTERS, TRAINING, Named, ema_name, unwrap

CASTABLE: frozenset[str] = frozenset({"F64", "F32", "F16", "BF16"})
"""Types that a precision applies to. 8-bit floats come with scales of their own and are never recast."""

RANK: dict[str, int] = {dtype: rank for rank, dtype in enumerate(WRITE_ORDER)}
"""dtype -> its place in the order of writing."""

PLAIN = {"format": "pt"}
"""The whole metadata of a file as torch's users write it: every name is there, and nothing says who made it."""

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
    """The output's tensors in writing order; what is dropped, by reason; remarks for the report.

    `aliases`: names that are left out because the tensor is written under another -> that other. `shared`: groups of names that begin
    at one place of the source and are each written out. `values` names the root keys of the source that hold something other than
    tensors (epoch, hyper-parameters).
    """

    tensors: list[Planned]
    dropped: dict[str, Dropped]
    shared: list[list[str]]
    notes: list[str]
    values: list[str]
    aliases: dict[str, str] = field(default_factory=dict)

    def sort(self) -> None:
        """Into the order of the reference writer: by type, then by name."""
        self.tensors.sort(key=lambda item: (RANK[item.dtype], item.name))


def make_plan(directory: TensorDirectory, recipe: Recipe, metadata: Mapping[str, str] | None = None) -> Plan:
    """What `recipe` makes of this file.

    Names that are the very same view are one tensor, written under the name that sorts first; the others are recorded as aliases, the
    way Hugging Face's convert.py does. A name that is a key of `metadata` cannot be recorded there, so it is written out; with `PLAIN`
    metadata all are, as A1111 and Civitai's scanner do.

    Raises FormatError `weights:no-tensors`, `weights:no-ema`, `weights:ema-shape`, `weights:duplicate-name`, `weights:quantised` (with
    a precision), `weights:untyped`, `weights:view-outside`, and LimitExceeded `weights:too-large`.
    """
    named = unwrap(directory)
    _refuse_untyped(directory, named)
    if recipe.precision != "keep":
        _refuse_quantised(named)
    dropped: dict[str, Dropped] = {}
    for entry in named.outside:
        reason = "training state" if str(entry.path[0]) in TRAINING else f"outside of {named.root}"
        dropped.setdefault(reason, Dropped()).add(".".join(map(str, entry.path)), entry)
    notes: list[str] = []
    chosen = _choose(named, recipe, dropped, notes)
    if not chosen:
        raise FormatError("weights:no-tensors", "No tensor of this file is model weights, so there is nothing to convert.")
    _check(directory, chosen)
    aliases = {} if metadata == PLAIN else _aliases(chosen, recipe, frozenset(metadata or ()))
    written = {name: entry for name, entry in chosen.items() if name not in aliases}
    planned = [Planned(name, _dtype(name, entry, recipe), entry) for name, entry in written.items()]
    values = sorted({str(other.path[0]) for other in directory.others if other.path})
    plan = Plan(planned, dropped, _shared(written), notes, values, aliases)
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
    total = 0
    for name, entry in chosen.items():
        if len(entry.shape) != len(entry.stride) or min((*entry.shape, *entry.stride, entry.offset), default=0) < 0:
            raise FormatError("weights:view-outside", "A tensor's shape or stride is negative or incomplete.", where=name)
        if span(entry) + entry.offset * SIZES[entry.dtype] > directory.storages[entry.storage].size:
            raise FormatError("weights:view-outside", "A tensor reaches beyond the bytes that hold it.", where=name)
        size = entry.nbytes
        total += size
        if size > MAX_STRIDED and not entry.contiguous:
            raise LimitExceeded(
                "weights:too-large", "A tensor this large must be stored in one piece. Call .contiguous() and save again.", where=name
            )
    if total > 2 * sum(storage.size for storage in directory.storages) + SLACK:
        raise LimitExceeded("weights:too-large", "The tensors of this file unfold to many times its size. Save it without expanded views.")


def span(entry: TensorEntry) -> int:
    """Bytes from the first to the last element of a view, both included; 0 for an empty tensor."""
    if 0 in entry.shape:
        return 0
    return (1 + sum(map(_reach, entry.shape, entry.stride))) * SIZES[entry.dtype]


def _reach(size: int, step: int) -> int:
    return (size - 1) * step


def _refuse_untyped(directory: TensorDirectory, named: Named) -> None:
    """Refuses a model of which a tensor could only be left out: the copy would be said to hold the same weights."""
    for other in directory.others:
        head = str(other.path[0]) if other.path else ""
        if other.kind == "tensor" and (head == named.root if named.root else head not in TRAINING):
            raise FormatError(
                "weights:untyped",
                f"A tensor of this file is of a kind that safetensors cannot hold: {printable(other.text, 80)}. Turn it into ordinary "
                "numbers, such as float32, and save again.",
                where=printable(".".join(map(str, other.path))),
            )


def _refuse_quantised(named: Named) -> None:
    found = quantised_by(named.tensors)
    if found is not None:
        raise FormatError(
            "weights:quantised",
            f"The weights of this file are quantised ({found[0]}): their numbers mean nothing without the scales beside them, so they "
            "cannot be given another precision. Keep the precision, or start from the unquantised file.",
            where=found[1],
        )


def _aliases(chosen: dict[str, TensorEntry], recipe: Recipe, taken: frozenset[str]) -> dict[str, str]:
    """Names to leave out -> the name that the same view keeps. Views of the same bytes in another shape or type are not the same."""
    first: dict[tuple[object, ...], str] = {}
    aliases: dict[str, str] = {}
    for name in sorted(chosen):
        entry = chosen[name]
        view = (entry.storage, entry.offset, entry.shape, entry.stride, entry.dtype, _dtype(name, entry, recipe))
        if 0 not in entry.shape and first.setdefault(view, name) != name and name not in taken:
            aliases[name] = first[view]
    return aliases


def _shared(chosen: dict[str, TensorEntry]) -> list[list[str]]:
    groups: dict[tuple[int, int], list[str]] = {}
    for name, entry in chosen.items():
        if 0 not in entry.shape:
            groups.setdefault((entry.storage, entry.offset), []).append(name)
    return [sorted(names) for names in groups.values() if len(names) > 1]
