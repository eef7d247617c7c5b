"""A mapped .safetensors file: names, shapes, metadata, and each tensor on the device in the wanted type with one copy at most.

The header is read by the registry's strict reader; bytes are never copied before they are asked for. It knows no model.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from types import TracebackType

import torch

from inference.diffusion.families import MAX_TENSORS
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.safetensors import header_length, parse_header
from registry.formats.window import Window

TYPES: dict[str, torch.dtype] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""safetensors dtype -> torch's. Types that torch has no arithmetic for are left out: nothing is rendered from them."""


class WeightFile:
    """Open it with `open_weights`. Tensors stay valid after `close`: each holds the mapping that it was taken from."""

    def __init__(self, fd: int) -> None:
        window = Window(fd)
        if window.size < 8:
            raise FormatError("F-TRUNCATED", "The file is too short to be safetensors.")
        length = header_length(window.read(0, 8))
        header, start = parse_header(window.read(8, length)), 8 + length
        header.check_size(window.size - start)
        if len(header.rows) > MAX_TENSORS:
            raise LimitExceeded("render:too-many-tensors", f"The file has more than {MAX_TENSORS} tensors; no model that is rendered has.")
        self.metadata: dict[str, str] = header.metadata
        self.shapes: dict[str, tuple[int, ...]] = {name: shape for name, _, shape, _, _ in header.rows}
        self.dtypes: dict[str, str] = {name: dtype for name, dtype, _, _, _ in header.rows}
        self.size_bytes = window.size
        self._offsets = {name: start + begin for name, _, _, begin, _ in header.rows}
        # A private mapping: what is added to weights in place stays in memory and never reaches the file.
        self._map: mmap.mmap | None = mmap.mmap(fd, 0, access=mmap.ACCESS_COPY)

    def view(self, name: str) -> torch.Tensor:
        """The tensor as it lies in the file, without a copy; KeyError for a name it has not. Raises `FormatError` "render:element-type"."""
        shape, dtype = self.shapes[name], TYPES.get(self.dtypes[name])
        if dtype is None:
            raise FormatError("render:element-type", f"{name[:200]} is of type {self.dtypes[name]}, from which nothing can be rendered.")
        if self._map is None:
            raise ValueError("the file is closed")
        count = 1
        for number in shape:
            count *= number
        if not count:
            return torch.empty(shape, dtype=dtype)
        offset = self._offsets[name]
        if offset % dtype.itemsize:  # possible, and slow or refused by kernels: such a tensor is copied
            raw = torch.frombuffer(self._map, dtype=torch.uint8, count=count * dtype.itemsize, offset=offset)
            return raw.clone().view(dtype).reshape(shape)
        return torch.frombuffer(self._map, dtype=dtype, count=count, offset=offset).reshape(shape)

    def tensor(self, name: str, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> torch.Tensor:
        """The tensor on `device` as `dtype` (None: as stored). On a GPU it goes over as stored and is cast there: fewer bytes to move."""
        return moved(self.view(name), torch.device(device), dtype)

    def close(self) -> None:
        """Lets go of the mapping; it goes when the last tensor that was taken from it goes."""
        self._map = None

    def __enter__(self) -> WeightFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def moved(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype | None) -> torch.Tensor:
    """The tensor on a device in a type; the same tensor where nothing is to be done."""
    return tensor.to(device=device, dtype=dtype or tensor.dtype) if device.type == "cpu" else tensor.to(device).to(dtype or tensor.dtype)


def open_weights(fd: int) -> WeightFile:
    """Maps a file that is open for reading; the descriptor may be closed afterwards. Raises `FormatError` for what is no safetensors."""
    return WeightFile(fd)


def elements(shapes: Mapping[str, tuple[int, ...]], names: set[str]) -> int:
    """Numbers in the tensors of these names."""
    total = 0
    for name in names:
        count = 1
        for number in shapes[name]:
            count *= number
        total += count
    return total
