"""Where every tensor of a file lies: names, types, shapes and byte ranges, as plain data that survives JSON.

The scanner makes it (from a pickle's symbolic run or a safetensors header); identification and conversion read it.
It holds no tensor bytes and no code, so whoever reads it never meets the pickle again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

from registry.formats.dtypes import SIZES

Key = str | int
Path = tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of raw little-endian bytes inside the file, which one or more tensors view.

    `start` and `size` are bytes from the beginning of the file. `crc32` is what the container says of these
    bytes (zip members), or None where it says nothing.
    """

    name: str
    start: int
    size: int
    crc32: int | None = None


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor: a typed, shaped view of a storage.

    `path` is the way from the root of the file: ("state_dict", "model.diffusion_model...") in a Lightning
    checkpoint, ("string_to_param", "*") in a textual inversion, (320, 0, "linear.weight") in a hypernetwork.
    `offset` and `stride` are in elements, as torch counts them; `dtype` is a key of `dtypes.SIZES`.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    storage: int
    offset: int
    stride: tuple[int, ...]

    @property
    def numel(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.numel * SIZES[self.dtype]

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps (dimensions of size 1 may have any stride)."""
        return all(size == 1 or got == want for size, got, want in zip(self.shape, self.stride, row_major(self.shape), strict=True))


@dataclass(frozen=True, slots=True)
class OtherEntry:
    """A non-tensor value of the file (epoch, hyper-parameters, a nested class): its path and a short, escaped text."""

    path: Path
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class TensorDirectory:
    """Everything that conversion and identification need to know of a file. `container` is as in scan reports."""

    container: str
    storages: tuple[Storage, ...]
    tensors: tuple[TensorEntry, ...]
    metadata: dict[str, str] = field(default_factory=dict)
    others: tuple[OtherEntry, ...] = ()

    def byte_range(self, entry: TensorEntry) -> tuple[int, int]:
        """(start, size) in bytes of a contiguous tensor, from the beginning of the file."""
        return self.storages[entry.storage].start + entry.offset * SIZES[entry.dtype], entry.nbytes

    def __iter__(self) -> Iterator[TensorEntry]:
        return iter(self.tensors)

    def to_json(self) -> dict[str, Any]:
        """Compact plain data: rows instead of objects (1,800 tensors are about 250 kB, 25 kB compressed)."""
        return {
            "container": self.container,
            "metadata": self.metadata,
            "storages": [[s.name, s.start, s.size, s.crc32] for s in self.storages],
            "tensors": [[list(t.path), t.dtype, list(t.shape), t.storage, t.offset, list(t.stride)] for t in self.tensors],
            "others": [[list(o.path), o.kind, o.text] for o in self.others],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TensorDirectory:
        """The inverse of `to_json`: `from_json(to_json(d)) == d`."""
        return cls(
            container=data["container"],
            metadata=dict(data["metadata"]),
            storages=tuple(Storage(*row) for row in data["storages"]),
            tensors=tuple(
                TensorEntry(tuple(path), dtype, tuple(shape), storage, offset, tuple(stride))
                for path, dtype, shape, storage, offset, stride in data["tensors"]
            ),
            others=tuple(OtherEntry(tuple(path), kind, text) for path, kind, text in data["others"]),
        )


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a C-ordered tensor of this shape: (2, 3, 4) -> (12, 4, 1)."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))
