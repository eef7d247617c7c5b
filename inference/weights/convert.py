"""Files of weights into safetensors files: read by byte range, cast, hashed, written, read back and compared. Never unpickles.

Memory stays under 150 MB at any file size (300 where torch's library casts). The same source, recipe and metadata give the same bytes,
on any machine. `write_outputs` does the work on open descriptors alone; `convert` and `convert_many` open files, call it and publish.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inference.weights import kernels
from inference.weights.cast import Caster, cast
from inference.weights.header import header_bytes
from inference.weights.lockstep import Lane, Pass
from inference.weights.metadata import derived_metadata, notes_of
from inference.weights.newfile import NewFile
from inference.weights.outcome import Outcome
from inference.weights.plan import CASTABLE, PLAIN, Plan, make_plan
from inference.weights.progress import Progress, Teller
from inference.weights.recipe import Recipe, twin_recipe
from inference.weights.sink import BLOCK, BLOCKS
from inference.weights.source import Readable, Source
from inference.weights.writing import Writing
from registry.formats.directory import TensorDirectory
from registry.formats.hashes import Hashes
from registry.identify.keys import EMA, TRAINING

__all__ = ["Output", "Progress", "cast_bytes", "convert", "convert_many", "derived_metadata", "write_outputs"]

IN_FLIGHT = 16 << 20
"""Bytes on their way to the disk, of all outputs together: several have smaller blocks, of 1 MiB at least."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file to be made: what of the source, the header's `__metadata__`, and the descriptors of a `NewFile`."""

    recipe: Recipe
    metadata: dict[str, str]
    fd: int
    direct_fd: int | None = None


def convert(
    source: Readable,
    directory: TensorDirectory,
    target: str | os.PathLike[str],
    recipe: Recipe,
    *,
    metadata: dict[str, str] | None = None,
    progress: Progress | None = None,
    hashes: bool = True,
    check: bool = True,
) -> Outcome:
    """Writes `target`, a safetensors file holding what `recipe` says, and reports on it. `convert_many` for one output."""
    return convert_many(source, directory, [(recipe, target, metadata)], progress=progress, hashes=hashes, check=check)[0]


def convert_many(
    source: Readable,
    directory: TensorDirectory,
    wanted: Sequence[tuple[Recipe, str | os.PathLike[str], dict[str, str] | None]],
    *,
    progress: Progress | None = None,
    hashes: bool = True,
    check: bool = True,
) -> list[Outcome]:
    """Writes a file for each (recipe, path, metadata), in one pass over the source; the files appear together, at the end.

    `directory` says where the tensors lie in `source` (a path, an open descriptor or file, or a reader). `metadata` is the header's
    `__metadata__` as it shall be; for None `derived_metadata` is written. With {"format": "pt"} and precision "keep" an output equals
    what `safetensors.torch.save_file` writes of the same tensors, byte for byte. `hashes=False` leaves the hashing out, `check=False`
    the reading back.

    Values too large for a precision become infinite; they are counted by tensor in the outcome, and its `warnings` say so.
    Raises FormatError where the file is at fault: `weights:truncated`, `weights:crc-mismatch` and what `make_plan` and `header_bytes`
    raise; WrongOutput for a file that reads back differently. OSError (a full disk) and all the others leave no file behind.
    """
    with contextlib.ExitStack() as stack:
        new = [stack.enter_context(NewFile(target)) for _, target, _ in wanted]
        outputs = [
            Output(recipe, derived_metadata(directory, recipe) if metadata is None else metadata, file.fd, file.direct_fd)
            for (recipe, _, metadata), file in zip(wanted, new, strict=True)
        ]
        outcomes = write_outputs(source, directory, outputs, progress=progress, hashes=hashes, check=check)
        for file in new:
            file.publish()
    return outcomes


def write_outputs(
    source: Readable,
    directory: TensorDirectory,
    outputs: Sequence[Output],
    *,
    progress: Progress | None = None,
    hashes: bool = True,
    check: bool = True,
) -> list[Outcome]:
    """As `convert_many`, into files that are open: opens nothing (unless `source` is a path), publishes nothing.

    Fit for a process that is locked in. It starts threads; it casts by torch's library only where that can be opened
    (see `kernels.choose`).
    Raises as `convert_many` does.
    """
    started = time.monotonic()
    caster = Caster(kernels.choose(cast_bytes(directory, [output.recipe for output in outputs])))
    with Source(source, directory) as opened, contextlib.ExitStack() as stack:
        works = [_Work(output, directory, opened) for output in outputs]
        for work in works:
            work.start(stack, hashes, check, _block_size(len(works)))
        tell = Teller(progress, [work.writing for work in works])
        running = Pass(opened, [work.lane for work in works], caster, tell)
        running.run()
        found = [work.writing.finish() for work in works]
        for work in works:
            work.compare(tell)
    tell.end()
    return [work.outcome(result, running, time.monotonic() - started) for work, result in zip(works, found, strict=True)]


def _block_size(outputs: int) -> int:
    """Bytes of a block, a multiple of what O_DIRECT wants."""
    return min(BLOCK, max(1 << 20, IN_FLIGHT // BLOCKS // outputs // 4096 * 4096))


class _Work:
    """One output, from its plan to its report."""

    writing: Writing
    lane: Lane

    def __init__(self, output: Output, directory: TensorDirectory, source: Source) -> None:
        self._output = output
        self.plan = make_plan(directory, output.recipe, output.metadata)
        for item in self.plan.tensors:
            source.check_bounds(item.entry)
        _repair_position_ids(self.plan, source, output.recipe)
        if output.metadata != PLAIN:
            self.plan.notes += notes_of(directory)
        self.header = header_bytes(self.plan.tensors, output.metadata, self.plan.aliases)

    def start(self, stack: contextlib.ExitStack, hashes: bool, check: bool, block: int) -> None:
        """Opens the way to the disk, and back."""
        descriptors = self._output.fd, self._output.direct_fd
        self.writing = Writing(stack, descriptors, self.header, self.plan.tensors, hashes=hashes, check=check, block=block)
        self.lane = Lane(self.plan, self.writing.sink)

    def compare(self, tell: Teller) -> None:
        self.writing.compare(tell)
        self.lane.comparison.reread = self.writing.checked

    def outcome(self, hashes: Hashes | None, running: Pass, seconds: float) -> Outcome:
        return Outcome(
            recipe=self._output.recipe,
            size_bytes=len(self.header) + self.writing.data,
            tensors=len(self.plan.tensors),
            hashes=hashes,
            dropped=self.plan.dropped,
            shared=self.plan.shared,
            aliases=self.plan.aliases,
            notes=self.plan.notes,
            values=self.plan.values,
            losses=self.lane.total,
            lossy=self.lane.lossy,
            crc_checked=running.crc_checked(self.lane),
            comparison=self.lane.comparison,
            seconds=seconds,
            metadata=self._output.metadata,
        )


def cast_bytes(directory: TensorDirectory, recipes: Sequence[Recipe]) -> int:
    """For `kernels.choose`: bytes of float32 and wider that these recipes cast, each precision of the same tensors once; roughly, from
    the names alone.
    """
    everything = weights = 0
    for entry in directory.tensors:
        # Asked before anyone has looked at the directory: a way of no steps is refused later.
        first, last = (str(part) for part in (entry.path[:1] + entry.path[-1:] or ("", "")))
        if entry.dtype in ("F32", "F64") and first not in TRAINING:
            everything += entry.nbytes
            weights += 0 if last.startswith(EMA) else entry.nbytes
    jobs = {(recipe.keep, recipe.precision) for recipe in recipes if recipe.precision in ("fp16", "bf16")}
    return sum(everything if keep == "all" else weights for keep, _ in jobs)


def _repair_position_ids(plan: Plan, source: Source, recipe: Recipe) -> None:
    """CLIP's position ids that a merge has turned into floats become 0, 1, 2, ... as int64 again, in every variant.

    The twin keeps the bits that the uploader chose; there it is only said.
    """
    for number, item in enumerate(plan.tensors):
        if not item.name.endswith("position_ids") or item.entry.dtype not in CASTABLE or not 0 < item.entry.numel <= 4096:
            continue
        stored = np.concatenate([cast(values, item.entry.dtype, "F32")[0] for values in source.chunks(item.entry)])
        wanted = np.arange(stored.size, dtype="<i8")
        if not bool((np.abs(stored - wanted) < 0.5).all()):
            plan.notes.append(f"{item.name} does not count from 0 to {stored.size - 1}; it was left as it is.")
        elif recipe == twin_recipe():
            plan.notes.append(f"{item.name} is stored as {item.entry.dtype} instead of I64; it was left as it is.")
        else:
            plan.notes.append(f"{item.name} was stored as {item.entry.dtype}; it is written as I64, 0 to {stored.size - 1}.")
            plan.tensors[number] = replace(item, dtype="I64", literal=wanted.tobytes())
    plan.sort()
