"""One file of weights into a safetensors file: read by byte range, cast, hashed, written, read again and compared. Never unpickles.

Memory stays under 100 MB at any file size. The same source, recipe and metadata give the same bytes.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from inference.weights.cast import Array, Losses, cast
from inference.weights.header import header_bytes
from inference.weights.newfile import NewFile
from inference.weights.outcome import CONVERTER_VERSION, Outcome
from inference.weights.plan import CASTABLE, Plan, Planned, make_plan
from inference.weights.recipe import Recipe, twin_recipe
from inference.weights.sink import Sink
from inference.weights.source import Source
from inference.weights.verify import compare
from registry.formats.directory import Storage, TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all); writing and comparing each count the tensors' bytes in the output once."""

EMBEDDED_HASHES = frozenset({"sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256"})
"""Hashes of the source that its metadata carries: wrong for anything derived, and A1111 believes the first unread."""

MAX_VALUES = 64


def convert(
    source: BinaryIO | str | os.PathLike[str],
    directory: TensorDirectory,
    target: str | os.PathLike[str],
    recipe: Recipe,
    *,
    metadata: dict[str, str] | None = None,
    progress: Progress | None = None,
    allow_overflow: bool = False,
) -> Outcome:
    """Writes `target`, a safetensors file holding what `recipe` says, and reports on it.

    `directory` says where the tensors lie in `source` (an open, seekable file or a path). `metadata` is the header's
    `__metadata__` as it shall be; without it `derived_metadata` is written. With {"format": "pt"} and precision "keep" the
    output equals what `safetensors.torch.save_file` writes of the same tensors, byte for byte.

    Raises FormatError where the file is at fault: `weights:truncated`, `weights:crc-mismatch`, `weights:overflow` (a cast
    would turn finite values into infinity, unless `allow_overflow`) and what `make_plan` raises. OSError (a full disk)
    leaves no file behind.
    """
    started = time.monotonic()
    header_metadata = derived_metadata(directory, recipe) if metadata is None else metadata
    with Source(source, directory) as opened:
        plan = make_plan(directory, recipe)
        for item in plan.tensors:
            opened.check_bounds(item.entry)
        _repair_position_ids(plan, opened, recipe)
        header = header_bytes(plan.tensors, header_metadata)
        data = sum(item.nbytes for item in plan.tensors)
        size = len(header) + data
        work = _Work(opened, plan, progress, 2 * data)
        with NewFile(target) as new, Sink(new.fd, new.direct_fd, size) as sink:
            sink.write(header)
            work.write(sink)
            if work.total.overflow and not allow_overflow:
                raise _overflow(work, recipe)
            hashes = sink.finish()
            comparison = compare(new.temporary, opened, plan, work.tell)
            new.publish()
    return Outcome(
        recipe=recipe,
        size_bytes=size,
        tensors=len(plan.tensors),
        hashes=hashes,
        dropped=plan.dropped,
        shared=plan.shared,
        notes=plan.notes,
        values=plan.values,
        losses=work.total,
        lossy=work.lossy,
        crc_checked=len(work.checked),
        comparison=comparison,
        seconds=time.monotonic() - started,
        metadata=header_metadata,
    )


def derived_metadata(directory: TensorDirectory, recipe: Recipe, *, source_sha256: str | None = None) -> dict[str, str]:
    """The source's own metadata without the hashes that no longer hold, and how this file came to be, under `weighhouse.*`.

    What an embedding or a hypernetwork holds beside its tensors (name, steps, layer structure) stays readable as `weighhouse.value.*`.
    """
    kept = {key: text for key, text in directory.metadata.items() if key not in EMBEDDED_HASHES and not key.startswith("weighhouse.")}
    made = {"weighhouse.keep": recipe.keep, "weighhouse.precision": recipe.precision, "weighhouse.converter": CONVERTER_VERSION}
    if source_sha256:
        made["weighhouse.source_sha256"] = source_sha256.lower()
    return {"format": "pt", **kept, **made, **_values(directory)}


def _values(directory: TensorDirectory) -> dict[str, str]:
    if not any(isinstance(entry.path[0], int) or entry.path[0] == "string_to_param" for entry in directory.tensors):
        return {}
    plain = [other for other in directory.others if other.kind in {"str", "int", "float", "bool"} and len(other.path) <= 2][:MAX_VALUES]
    return {"weighhouse.value." + printable(".".join(map(str, other.path))): printable(other.text) for other in plain}


class _Work:
    """The pass over the source: what was lost in casts, which storages were checked, how far it has come."""

    def __init__(self, source: Source, plan: Plan, progress: Progress | None, work_bytes: int) -> None:
        self.source, self.plan, self.progress, self.work_bytes = source, plan, progress, work_bytes
        self.total = Losses()
        self.lossy: dict[str, Losses] = {}
        self.checked: set[int] = set()
        self.done = 0

    def tell(self, size: int) -> None:
        """`size` more bytes of output were written or compared."""
        self.done += size
        if self.progress is not None:
            self.progress(self.done, self.work_bytes)

    def write(self, sink: Sink) -> None:
        for item in self.plan.tensors:
            if item.literal is not None:
                sink.write(item.literal)
                self.tell(item.nbytes)
            else:
                self._write_tensor(item, sink)

    def _write_tensor(self, item: Planned, sink: Sink) -> None:
        storage, entry = self.source.storage_of(item.entry), item.entry
        # Zero is what torch writes where checksums are switched off (set_crc32_options); no bytes but none have it, in practice.
        unchecked = bool(storage.crc32) and entry.storage not in self.checked
        on_the_way = unchecked and self.source.covers_storage(entry)
        if unchecked and not on_the_way:
            self._check_crc(entry.storage, storage, self.source.crc32(storage))
        crc, losses = 0, Losses()
        for values in self.source.chunks(entry):
            if on_the_way:
                crc = zlib.crc32(as_bytes(values), crc)
            out, lost = cast(values, entry.dtype, item.dtype)
            losses.add(lost)
            sink.write(as_bytes(out))
            self.tell(out.nbytes)
        if on_the_way:
            self._check_crc(entry.storage, storage, crc)
        if losses.any():
            self.lossy[item.name] = losses
            self.total.add(losses)

    def _check_crc(self, index: int, storage: Storage, crc: int) -> None:
        if crc != storage.crc32:
            sentence = "The checksum inside this file does not match its tensor data: the file is damaged. Upload an undamaged copy."
            raise FormatError("weights:crc-mismatch", sentence, where=storage.name, offset=storage.start)
        self.checked.add(index)


def as_bytes(values: Array) -> memoryview:
    """The bytes of a one-dimensional array, without copying."""
    return values.view(np.uint8).data


def _overflow(work: _Work, recipe: Recipe) -> FormatError:
    names = [name for name, losses in work.lossy.items() if losses.overflow]
    sentence = (
        f"{work.total.overflow} values in {len(names)} tensors are too large for {recipe.precision} and would become infinite. "
        "Choose bf16, or keep the precision of the original."
    )
    return FormatError("weights:overflow", sentence, where=names[0])


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
