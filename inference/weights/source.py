"""Tensor bytes out of a file by byte range, a few MiB at a time, whatever their order in it. It reads, and casts nothing.

The file may be a path, an open descriptor or file, or anything that reads by offset (a stored object on S3).
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from math import prod
from typing import BinaryIO, cast

import numpy as np
from isal.isal_zlib import crc32
from numpy.lib.stride_tricks import as_strided

from inference.weights.cast import NUMPY, Array
from inference.weights.plan import span
from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.reader import FileReader, Reader

CHUNK = 1 << 20
"""Bytes of source read at once: cast and checked while they are in the cache."""
SPAN = 16 << 20
"""Bytes held while a scattered tensor is gathered; one that lies within is read once, as a whole."""
BLOCK = 4 << 20
"""Bytes of a larger scattered tensor that are gathered at once."""
DENSE, SMALL = 16, 64 << 10
"""A span is read as a whole if at most so many times the wanted bytes, or if it is small anyway; else it is cut further."""
GATHER_TIMES, GATHER_FREE, READ_COST = 32, 16 << 30, 16 << 10
"""Reading for scattered tensors may take so many times the file's size, and these bytes beside; a read counts as at least `READ_COST`.

A file made to be slow would otherwise keep a worker busy for days; a real one with every tensor transposed stays far below.
"""


Readable = str | os.PathLike[str] | int | BinaryIO | Reader
"""A path (opened, and closed at the end), an open descriptor, a seekable binary file, or a reader: these stay the caller's."""


class _File:
    """Reads an open binary file by seeking in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.size = file, file.seek(0, os.SEEK_END)

    def read_into(self, offset: int, view: memoryview) -> None:
        self._file.seek(offset)
        while view:
            got = self._file.readinto(view)  # type: ignore[attr-defined]
            if not got:
                raise truncated(offset)
            view = view[got:]


def truncated(offset: int | None = None, where: str = "") -> FormatError:
    """What is said of a file that ends before its last tensor."""
    return FormatError("weights:truncated", "The file ends before its last tensor; upload the whole file.", offset=offset, where=where)


class Source:
    """An open file and the directory of what lies in it. Use as a context manager: a path that it opened is closed.

    It is read from one thread at a time.
    """

    def __init__(self, file: Readable, directory: TensorDirectory) -> None:
        self._own = os.open(file, os.O_RDONLY | os.O_CLOEXEC) if isinstance(file, str | os.PathLike) else -1
        self._reader = _reader(self._own if isinstance(file, str | os.PathLike) else file)
        self._directory = directory
        self._buffer = bytearray(CHUNK)
        self.size = self._reader.size
        self._gather_budget = GATHER_TIMES * self.size + GATHER_FREE

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._own >= 0:
            os.close(self._own)
            self._own = -1

    def storage_of(self, entry: TensorEntry) -> Storage:
        return self._directory.storages[entry.storage]

    def check_bounds(self, entry: TensorEntry) -> None:
        """Raises FormatError `weights:truncated` if the storage of this tensor ends behind the end of the file."""
        storage = self.storage_of(entry)
        if storage.start < 0 or storage.start + storage.size > self.size:
            raise truncated(where=storage.name)

    def read_into(self, start: int, view: memoryview) -> None:
        """Fills `view` with the bytes from `start` on; a file that ends there is truncated."""
        if start + view.nbytes > self.size:
            raise truncated(start)
        try:
            self._reader.read_into(start, view)
        except FormatError as error:  # it has become shorter since it was opened
            raise truncated(start) from error

    def expect(self, entry: TensorEntry) -> None:
        """This tensor is read soon: a file on a disk is asked to fetch it. A hint, and nothing where none can be given."""
        if isinstance(self._reader, FileReader) and entry.contiguous:
            start, size = self._directory.byte_range(entry)
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._reader.fileno(), start, size, os.POSIX_FADV_WILLNEED)

    def covers_storage(self, entry: TensorEntry) -> bool:
        """Whether reading this tensor reads every byte of its storage in order, so that a CRC can be had on the way."""
        return entry.contiguous and entry.offset == 0 and entry.nbytes == self.storage_of(entry).size

    def fill(self, entry: TensorEntry, at: int, view: memoryview) -> None:
        """Fills `view` with a contiguous tensor's bytes from its byte `at` on."""
        self.read_into(self._directory.byte_range(entry)[0] + at, view)

    def chunks(self, entry: TensorEntry) -> Iterator[Array]:
        """The tensor's elements in C order as one-dimensional arrays of its numpy type. An array is valid until the next is asked for."""
        if entry.contiguous:
            start, size = self._directory.byte_range(entry)
            for at in range(0, size, CHUNK):
                view = memoryview(self._buffer)[: min(CHUNK, size - at)]
                self.read_into(start + at, view)
                yield np.frombuffer(view, NUMPY[entry.dtype])
            return
        limit = SPAN if max(span(entry), entry.nbytes) <= SPAN else BLOCK
        for block in _blocks(entry.shape, max(1, limit // SIZES[entry.dtype])):
            shape = tuple(stop - start for start, stop in block)
            offset = entry.offset + sum(start * step for (start, _), step in zip(block, entry.stride, strict=True))
            out = np.empty(shape, NUMPY[entry.dtype])
            self._gather(self.storage_of(entry).start, offset, entry.stride, out)
            yield out.reshape(-1)

    def part(self, entry: TensorEntry, first: int, numel: int) -> Array:
        """`numel` elements of a contiguous tensor from its element `first` on, in memory of their own."""
        start, _ = self._directory.byte_range(entry)
        out = np.empty(numel, NUMPY[entry.dtype])
        self.read_into(start + first * out.dtype.itemsize, out.view("u1").data)
        return out

    def _gather(self, base: int, offset: int, stride: tuple[int, ...], out: Array) -> None:
        """Fills `out` from a strided view; a view whose span is over `SPAN` is halved along its longest axis until it is not."""
        item = out.dtype.itemsize
        reach = [(size - 1) * step for size, step in zip(out.shape, stride, strict=True)]
        total = (1 + sum(reach)) * item
        if total <= SPAN and total <= max(DENSE * out.nbytes, SMALL):
            self._spend(total)
            raw = bytearray(total)
            self.read_into(base + offset * item, memoryview(raw))
            # The stride of a dimension of one is never walked and may be any number, also one that no machine could count in.
            steps = tuple(step * item if size > 1 else 0 for size, step in zip(out.shape, stride, strict=True))
            out[...] = as_strided(np.frombuffer(raw, out.dtype), out.shape, steps)
            return
        axis = reach.index(max(reach))
        middle = out.shape[axis] // 2
        first, second = np.split(out, [middle], axis)
        self._gather(base, offset, stride, first)
        self._gather(base, offset + middle * stride[axis], stride, second)

    def _spend(self, size: int) -> None:
        self._gather_budget -= max(size, READ_COST)
        if self._gather_budget < 0:
            raise LimitExceeded(
                "weights:too-scattered", "The tensors of this file lie too scattered. Call .contiguous() on each and save again."
            )

    def crc32(self, storage: Storage) -> int:
        """CRC-32 of a whole storage."""
        crc = 0
        for at in range(0, storage.size, CHUNK):
            view = memoryview(self._buffer)[: min(CHUNK, storage.size - at)]
            self.read_into(storage.start + at, view)
            crc = crc32(view, crc)
        return crc


def _reader(file: int | BinaryIO | Reader) -> Reader:
    if isinstance(file, int):
        return FileReader(file)
    return cast(Reader, file) if hasattr(file, "read_into") else _File(file)


def _blocks(shape: tuple[int, ...], numel: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Index ranges that cut a shape, in C order, into pieces of at most `numel` elements that follow one another in memory."""
    if prod(shape) == 0:
        return
    axis = 0
    while axis < len(shape) - 1 and prod(shape[axis + 1 :]) > numel:
        axis += 1
    rows = max(1, numel // prod(shape[axis + 1 :]))
    for lead in itertools.product(*(range(size) for size in shape[:axis])):
        for start in range(0, shape[axis], rows):
            ranges = [(at, at + 1) for at in lead]
            ranges.append((start, min(start + rows, shape[axis])))
            ranges += [(0, size) for size in shape[axis + 1 :]]
            yield tuple(ranges)
