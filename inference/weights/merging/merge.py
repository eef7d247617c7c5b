"""Merges files of weights into one safetensors file: piece by piece, hashed, written, read back. Never more than a few MiB in memory.

The same inputs, recipe and names give the same bytes, with numpy or torch, on any machine and with any number of threads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from inference.weights import libtorch
from inference.weights.cast import NUMPY, Array, Caster, Losses
from inference.weights.header import header_bytes
from inference.weights.merging.deltas import Delta, add, rescale
from inference.weights.merging.formulas import Maths, NumpyMaths, Values, settle
from inference.weights.merging.metadata import merge_metadata
from inference.weights.merging.outcome import MergeOutcome
from inference.weights.merging.plan import TORCH_PAYS, Made, MergePlan, plan_merge
from inference.weights.merging.recipe import MergeRecipe, Origin
from inference.weights.merging.slerp import Angle, interpolate
from inference.weights.merging.torchmaths import TorchMaths
from inference.weights.merging.values import BITS_16, PIECE_BYTES, Reader, to_float
from inference.weights.newfile import NewFile
from inference.weights.progress import Progress, Teller
from inference.weights.source import Readable, Source
from inference.weights.writing import Writing
from registry.formats.directory import TensorDirectory
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError
from registry.formats.hashes import Hashes
from registry.formats.safetensors import parse_header


@dataclass(frozen=True, slots=True)
class Given:
    """An input: its bytes (a path, an open file or a reader), where its tensors lie, and what is known of it besides."""

    source: Readable
    directory: TensorDirectory
    origin: Origin = field(default_factory=Origin)


def merge(
    inputs: Mapping[str, Given],
    target: str | os.PathLike[str],
    recipe: MergeRecipe,
    *,
    progress: Progress | None = None,
    check: bool = True,
) -> MergeOutcome:
    """Writes `target` by `recipe`. `inputs`: role ("a", "b", "c", "vae", "lora0" ...) -> file. `check=False` leaves out reading it back.

    Raises FormatError for what is wrong with inputs or recipe (see `plan.plan_merge`), `weights:truncated` for a file that is shorter than
    its header says, WrongOutput for a result that reads back differently. OSError (a full disk) and all the others leave no file behind.
    """
    with NewFile(target) as new:
        outcome = merge_into(inputs, new.fd, new.direct_fd, recipe, progress=progress, check=check)
        new.publish()
    return outcome


def merge_into(
    inputs: Mapping[str, Given],
    fd: int,
    direct_fd: int | None,
    recipe: MergeRecipe,
    *,
    progress: Progress | None = None,
    check: bool = True,
) -> MergeOutcome:
    """As `merge`, into the open descriptors of a `NewFile`: opens nothing (unless a source is a path) and publishes nothing.

    Fit for a process that is locked in, if `maths_for` was called before. It starts threads.
    """
    started = time.monotonic()
    directories = {role: given.directory for role, given in inputs.items()}
    plan = plan_merge(directories, recipe)
    metadata = merge_metadata(plan, directories, {role: given.origin for role, given in inputs.items()})
    planned = [item.planned for item in plan.tensors]
    header = header_bytes(planned, metadata)
    parse_header(header[8:])  # what our own reader would refuse in the end is refused before the work
    # Infinities and NaN of the inputs are counted (`settle`); numpy need not speak of each.
    with ExitStack() as stack, np.errstate(all="ignore"):
        sources = {role: stack.enter_context(Source(given.source, given.directory)) for role, given in inputs.items()}
        for role, given in inputs.items():
            for entry in given.directory.tensors:
                sources[role].check_bounds(entry)
        work = _Work(plan, Reader(sources, directories), maths_for(plan))
        writing = Writing(stack, (fd, direct_fd), header, planned, check=check)
        hashes = work.run(plan, writing, Teller(progress, [writing]))
    return MergeOutcome(
        recipe=recipe,
        size_bytes=len(header) + plan.data_bytes,
        tensors=len(plan.tensors),
        hashes=hashes,
        counts=plan.counts,
        dropped=plan.dropped,
        loras=plan.loras,
        notes=plan.notes,
        losses=work.total,
        lossy=work.lossy,
        straight=work.straight,
        maths=work.maths.name,
        seconds=time.monotonic() - started,
        metadata=metadata,
    )


def maths_for(plan: MergePlan) -> Maths:
    """Torch's library where it pays or is open already, numpy otherwise and where there is none. They give the same bits."""
    if plan.recipe.method != "slerp" and (libtorch.is_open() or plan.small_bytes >= TORCH_PAYS):
        try:
            return TorchMaths()
        except (ImportError, OSError):
            pass
    return NumpyMaths()


class _Work:
    """The pass over the inputs. `pieces` gives one tensor of the result; what was lost on the way is kept by name."""

    def __init__(self, plan: MergePlan, reader: Reader, maths: Maths) -> None:
        self.recipe, self.reader, self.maths = plan.recipe, reader, maths
        self.wide = plan.recipe.precision in ("fp32", "bf16")
        self.caster = Caster()
        self.total, self.straight = Losses(), 0
        self.lossy: dict[str, Losses] = {}

    def run(self, plan: MergePlan, writing: Writing, tell: Teller) -> Hashes:
        """Every tensor of the plan into the file, and the file compared."""
        for item, following in zip(plan.tensors, [*plan.tensors[1:], None], strict=True):
            writing.sink.begin()
            self.expect(following)
            for piece in self.pieces(item):
                writing.sink.write(piece.view(np.uint8).data)
                tell(piece.nbytes)
        hashes = writing.sink.finish()
        writing.compare(tell)
        tell.end()
        return hashes

    def expect(self, item: Made | None) -> None:
        """This tensor comes next."""
        if item is None:
            return
        self.reader.expect(item.source, item.entry)
        for role, entry in (("b", item.b), ("c", item.c)):
            if entry is not None:
                self.reader.expect(role, entry)

    def pieces(self, item: Made) -> Iterator[Array]:
        """The bytes of one tensor in C order; an array is valid until the next is asked for."""
        losses = Losses()
        deltas = [Delta(baking, self.reader) for baking in item.bakings]
        values = self._plain(item, losses)
        if any(delta.magnitude is not None for delta in deltas):
            values = self._rescaled(item, values, deltas, losses)
        elif deltas:
            values = self._added(item, values, deltas, losses)
        for made in values:
            out, lost = self.caster.cast(made.array, made.dtype, item.dtype)
            if item.how == "merged" or deltas:
                lost.nonfinite = lost.nan = 0  # counted where they came in
            losses.add(lost)
            yield out
        if losses.any():
            self.lossy[item.name] = losses
            self.total.add(losses)

    def _plain(self, item: Made, losses: Losses) -> Iterator[Values]:
        """Before LoRAs: the bytes themselves of what is copied, the formula's answer for what is merged."""
        if item.how != "merged":
            yield from self._pieces_of(item, item.source)
        elif item.channels:
            yield from self._some_channels(item, losses)
        elif self.recipe.method == "slerp":
            yield from self._slerp(item, losses)
        else:
            for first, count in _cut(item.entry.numel, _step(item)):
                yield self._combine(item, first, count, losses)

    def _pieces_of(self, item: Made, role: str) -> Iterator[Values]:
        for first, count in _cut(item.entry.numel, PIECE_BYTES // SIZES[item.entry.dtype]):
            yield Values(self.reader.read(role, item.entry, first, count, "a"), item.entry.dtype)

    def _combine(self, item: Made, first: int, count: int, losses: Losses) -> Values:
        """One piece of a merged tensor, and what was lost in it."""
        a = self._widened(Values(self.reader.read("a", item.entry, first, count, "a"), item.entry.dtype))
        return self._formula(item, a, first, count, losses)

    def _formula(self, item: Made, a: Values, first: int, count: int, losses: Losses) -> Values:
        if item.b is None:
            raise ValueError(f"{item.name} has nothing to be merged with")
        b = self._widened(Values(self.reader.read("b", item.b, first, count, "b"), item.b.dtype))
        inputs = [a, b]
        if self.recipe.method == "weighted_sum":
            made = self.maths.weighted_sum(a, b, item.multiplier)
        else:
            c = None
            if item.c is not None:
                c = self._widened(Values(self.reader.read("c", item.c, first, count, "c"), item.c.dtype))
                inputs.append(c)
            made = self.maths.add_difference(a, b, c, item.multiplier)
        losses.add(settle(made, inputs if item.c is not None or self.recipe.method == "weighted_sum" else [a]))
        return made

    def _widened(self, values: Values) -> Values:
        """As float32 first, where the result is to be more precise than its inputs' own arithmetic."""
        if not self.wide or values.dtype not in BITS_16:
            return values
        return Values(to_float(values.array, values.dtype), "F32")

    def _some_channels(self, item: Made, losses: Losses) -> Iterator[Values]:
        """A tensor of which only the first channels are merged, some rows (output channels) at a time; A's type stays."""
        width = _row_width(item)
        narrow = width // item.entry.shape[1] * item.channels
        if width > PIECE_BYTES // 8:
            raise FormatError("merge:shape", f"{item.name} is too wide for a model's first layer.")
        for row, rows in _cut(item.entry.shape[0], PIECE_BYTES // 8 // max(width, 1)):
            a = self._widened(Values(self.reader.read("a", item.entry, row * width, rows * width, "a"), item.entry.dtype))
            out = a.array.reshape(rows, width).copy()
            head = Values(np.ascontiguousarray(out[:, :narrow]).reshape(-1), a.dtype)
            made = self._head(item, head, row * narrow, rows * narrow, losses)
            back, lost = self.caster.cast(made.array, made.dtype, a.dtype)
            losses.overflow += lost.overflow
            out[:, :narrow] = back.reshape(rows, narrow)
            yield Values(out.reshape(-1), a.dtype)

    def _head(self, item: Made, a: Values, first: int, count: int, losses: Losses) -> Values:
        if self.recipe.method != "slerp" or item.b is None:
            return self._formula(item, a, first, count, losses)
        # A slice of one vector of another length: its angle would be that of no tensor, so it is summed.
        b = Values(self.reader.read("b", item.b, first, count, "b"), item.b.dtype)
        made = Values(interpolate(to_float(*_pair(a)), to_float(*_pair(b)), 1 - item.multiplier, item.multiplier), "F32")
        losses.add(settle(made, [a, b]))
        return made

    def _slerp(self, item: Made, losses: Losses) -> Iterator[Values]:
        cuts = _cut(item.entry.numel, PIECE_BYTES // 8)
        angle = Angle()
        for first, count in cuts:
            angle.add(*self._two(item, first, count))
        factor_a, factor_b, curved = angle.coefficients(item.multiplier)
        self.straight += not curved
        for first, count in cuts:
            a, b = self._two(item, first, count)
            made = Values(interpolate(a, b, factor_a, factor_b), "F32")
            losses.add(settle(made, [Values(a, "F32"), Values(b, "F32")]))
            if not self.wide and item.natural != "F32":
                made = Values(self.caster.cast(made.array, "F32", item.natural)[0].copy(), item.natural)
            yield made

    def _two(self, item: Made, first: int, count: int) -> tuple[Array, Array]:
        if item.b is None:
            raise ValueError(f"{item.name} has nothing to be merged with")
        a = to_float(self.reader.read("a", item.entry, first, count, "a"), item.entry.dtype)
        return a, to_float(self.reader.read("b", item.b, first, count, "b"), item.b.dtype)

    def _added(self, item: Made, pieces: Iterator[Values], deltas: list[Delta], losses: Losses) -> Iterator[Values]:
        at, width = 0, _row_width(item)
        for made in pieces:
            values = to_float(*_pair(made)).copy()
            add(values, at, width, deltas)
            at += values.size
            changed = Values(values, "F32")
            losses.add(settle(changed, [made]))
            yield changed

    def _rescaled(self, item: Made, pieces: Iterator[Values], deltas: list[Delta], losses: Losses) -> Iterator[Values]:
        before = np.concatenate([to_float(*_pair(made)).copy() for made in pieces])
        whole = before.copy()
        for delta in deltas:
            if delta.magnitude is not None:
                rescale(whole, delta)
            else:
                add(whole, 0, _row_width(item), [delta])
        changed = Values(whole, "F32")
        losses.add(settle(changed, [Values(before, "F32")]))
        yield changed


def _pair(values: Values) -> tuple[Array, str]:
    return values.array, values.dtype


def _row_width(item: Made) -> int:
    return max(1, item.entry.numel // item.entry.shape[0]) if item.entry.shape and item.entry.shape[0] else 1


def _step(item: Made) -> int:
    """Elements of a piece: as many as keep the widest input within `PIECE_BYTES`."""
    types = [entry.dtype for entry in (item.entry, item.b, item.c) if entry is not None]
    return PIECE_BYTES // max(np.dtype(NUMPY[dtype]).itemsize for dtype in types)


def _cut(numel: int, step: int) -> list[tuple[int, int]]:
    return [(first, min(step, numel - first)) for first in range(0, numel, step)]
