"""The pass over the source: every tensor read, checked and cast once for all the outputs that want it next. It opens and ends no file.

Each output is written in its own order. They advance together where they can; where they cannot, a tensor is read again, and only that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from isal.isal_zlib import crc32

from inference.weights.cast import Array, Caster, Losses
from inference.weights.outcome import Comparison
from inference.weights.plan import RANK, Plan, Planned
from inference.weights.sink import Sink
from inference.weights.source import CHUNK, Source
from registry.formats.directory import Storage, TensorEntry
from registry.formats.errors import FormatError

AHEAD = 256 << 10
"""A tensor of fewer bytes is not asked for ahead: reading it takes no longer than asking."""


@dataclass(slots=True)
class Lane:
    """One output on its way: what it shall hold, where it is written, and what its casts did so far."""

    plan: Plan
    sink: Sink
    comparison: Comparison = field(default_factory=Comparison)
    total: Losses = field(default_factory=Losses)
    lossy: dict[str, Losses] = field(default_factory=dict)
    checked: set[int] = field(default_factory=set)
    at: int = 0

    @property
    def head(self) -> Planned:
        return self.plan.tensors[self.at]

    @property
    def ended(self) -> bool:
        return self.at == len(self.plan.tensors)

    def rank(self) -> tuple[int, str]:
        """The common order of all outputs: by the type that the source has, then by name."""
        return RANK[self.head.entry.dtype], self.head.name

    def step(self, losses: Losses) -> None:
        """The head is written; what its cast did."""
        self.comparison.add(self.head.name, losses)
        if losses.any():
            self.lossy[self.head.name] = losses
        self.total.add(losses)
        self.at += 1


class Pass:
    """One walk over the outputs. `tell` gets the bytes written, of all of them together."""

    def __init__(self, source: Source, lanes: list[Lane], caster: Caster, tell: Callable[[int], None]) -> None:
        self._source, self._lanes, self._caster, self._tell = source, lanes, caster, tell
        self._checked: set[int] = set()

    def run(self) -> None:
        """Writes every output to its end. Raises FormatError where the source is at fault, OSError where a disk is."""
        running = [lane for lane in self._lanes if not lane.ended]
        while running:
            leader = min(running, key=Lane.rank) if len(running) > 1 else running[0]
            self._write_head(leader, running)
            running = [lane for lane in running if not lane.ended]

    def _write_head(self, leader: Lane, running: list[Lane]) -> None:
        item = leader.head
        if item.literal is not None:
            leader.sink.begin()
            leader.sink.write(item.literal)
            leader.step(Losses())
            self._tell(item.nbytes)
            return
        together = [lane for lane in running if lane.head.entry is item.entry and lane.head.literal is None]
        for lane in together:
            lane.sink.begin()
        self._announce(leader)
        losses = self._copy(item.entry, together)
        for lane in together:
            lane.checked.add(item.entry.storage)
            lane.step(losses[lane.head.dtype])

    def _announce(self, leader: Lane) -> None:
        """The tensor after this one is fetched while this one is written."""
        if leader.at + 1 < len(leader.plan.tensors):
            entry = leader.plan.tensors[leader.at + 1].entry
            if entry.nbytes >= AHEAD:
                self._source.expect(entry)

    def _copy(self, entry: TensorEntry, lanes: list[Lane]) -> dict[str, Losses]:
        """One tensor into all of `lanes`, cast once for each type; gives what each of the casts did."""
        storage = self._source.storage_of(entry)
        on_the_way = self._check_first(entry, storage)
        losses = {lane.head.dtype: Losses() for lane in lanes}
        if len(lanes) == 1 and entry.contiguous and lanes[0].head.dtype == entry.dtype:
            crc = self._read_through(entry, lanes[0].sink)
            if on_the_way:
                self._check_crc(entry.storage, storage, crc)
            return losses
        sinks = [(lane.head.dtype, lane.sink) for lane in lanes]
        crcs = dict.fromkeys([*losses, *([entry.dtype] if on_the_way else [])], 0)
        for values in self._source.chunks(entry):
            pieces = {}
            for dtype in crcs:
                out, lost = self._caster.cast(values, entry.dtype, dtype)
                pieces[dtype] = as_bytes(out)
                crcs[dtype] = crc32(pieces[dtype], crcs[dtype])
                if dtype != entry.dtype:
                    losses[dtype].add(lost)
            for dtype, sink in sinks:
                sink.write(pieces[dtype], crc=crcs[dtype])
                self._tell(pieces[dtype].nbytes)
        if on_the_way:
            self._check_crc(entry.storage, storage, crcs[entry.dtype])
        return losses

    def _read_through(self, entry: TensorEntry, sink: Sink) -> int:
        """A tensor whose bytes stay as they are, read to where they are hashed and written from; its CRC32."""
        at = crc = 0
        while at < entry.nbytes:
            view = sink.room(min(CHUNK, entry.nbytes - at))
            self._source.fill(entry, at, view)
            crc = crc32(view, crc)
            sink.filled(view.nbytes, crc)
            at += view.nbytes
            self._tell(view.nbytes)
        return crc

    def _check_first(self, entry: TensorEntry, storage: Storage) -> bool:
        """Whether the storage's checksum is still to be had from this tensor's own bytes; where it cannot be, it is had now."""
        # Zero is what torch writes where checksums are switched off (set_crc32_options); no bytes but none have it, in practice.
        if not storage.crc32 or entry.storage in self._checked:
            return False
        if self._source.covers_storage(entry):
            return True
        self._check_crc(entry.storage, storage, self._source.crc32(storage))
        return False

    def _check_crc(self, index: int, storage: Storage, crc: int) -> None:
        if crc != storage.crc32:
            sentence = "The checksum inside this file does not match its tensor data: the file is damaged. Upload an undamaged copy."
            raise FormatError("weights:crc-mismatch", sentence, where=storage.name, offset=storage.start)
        self._checked.add(index)

    def crc_checked(self, lane: Lane) -> int:
        """How many of the storages that this output was made of were checked."""
        return len(lane.checked & self._checked)


def as_bytes(values: Array) -> memoryview:
    """The bytes of a one-dimensional array, without copying."""
    return values.view(np.uint8).data
