"""The files that `bench.weights` works on, with the true names and shapes of Stable Diffusion 1.5 and made-up numbers. Measures nothing.

Numbers are normal with the spread of trained weights (0.03), from one pool that repeats, so that gigabytes are written in seconds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from samples.layout import STANDARD, Shape, Widths, ema_name, sd1
from tests.tiny import _Pickler

POOL = 1 << 22
"""Numbers in the pool: 16 MiB as fp32."""
ADAM_BYTES = 300 << 20
"""Optimizer state beside the weights of the training checkpoint."""
SMALL = Widths(unet=(64, 128, 256, 256), vae=(16, 32, 64, 64), clip=96, vocabulary=4096)
"""Widths for a trial of the bench itself: about 30 million numbers."""


def pool(seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(POOL, dtype=np.float32) * np.float32(0.03)


def checkpoint(path: Path, widths: Widths = STANDARD) -> Path:
    """A torch zip, fp32, without EMA: 4.27 GB at the standard widths."""
    return _torch_zip(path, {"state_dict": _empty(sd1(widths))}, seed=1)


def training_checkpoint(path: Path, widths: Widths = STANDARD) -> Path:
    """A Lightning checkpoint, fp32, with the EMA of its UNet and Adam's memory: 8.0 GB at the standard widths."""
    shapes = sd1(widths)
    averages = {ema: shape for name, shape in shapes.items() if (ema := ema_name(name)) is not None}
    counters = {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(1000, dtype=torch.int32)}
    numbers = min(ADAM_BYTES // 4, sum(map(prod, shapes.values())) // 8)
    memory = {0: {"step": torch.tensor(1000.0), "exp_avg": _zeros((numbers // 2,)), "exp_avg_sq": _zeros((numbers // 2,))}}
    state = {**_empty(shapes), **_empty(averages), **counters}
    root = {"epoch": 3, "global_step": 1000, "state_dict": state, "optimizer_states": [{"state": memory, "param_groups": []}]}
    return _torch_zip(path, root, seed=2)


def half_safetensors(path: Path, seed: int, widths: Widths = STANDARD) -> Path:
    """A pruned fp16 safetensors file: 2.13 GB at the standard widths."""
    shapes = sd1(widths)
    names = sorted(shapes, key=lambda name: (not name.endswith("position_ids"), name))
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in names:
        size = prod(shapes[name]) * (8 if name.endswith("position_ids") else 2)
        dtype = "I64" if name.endswith("position_ids") else "F16"
        table[name] = {"dtype": dtype, "shape": list(shapes[name]), "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    half = pool(seed).astype(np.float16).tobytes()
    with path.open("wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        for name in names:
            if name.endswith("position_ids"):
                out.write(np.arange(77, dtype=np.int64).tobytes())
            else:
                out.writelines(_repeat(half, prod(shapes[name]) * 2))
    return path


def _repeat(pattern: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, size, len(pattern)):
        yield pattern[: min(len(pattern), size - at)]


def _zeros(shape: Shape) -> torch.Tensor:
    return torch.from_numpy(np.zeros(shape, np.float32))  # calloc: no page is touched


def _empty(shapes: dict[str, Shape]) -> dict[str, torch.Tensor]:
    return {name: torch.arange(77).reshape(shape) if name.endswith("position_ids") else _zeros(shape) for name, shape in shapes.items()}


class _Writer(_Pickler):
    """Also remembers what is whole numbers or a scalar, whose true bytes are written; everything else is filled from the pool."""

    def __init__(self, out: io.BytesIO) -> None:
        super().__init__(out)
        self.true: dict[str, bytes] = {}

    def persistent_id(self, obj: Any) -> Any:
        known = super().persistent_id(obj)
        if known is None:
            return None
        key = known[2]
        size = self.sizes[key]
        if obj.dtype != torch.float32 or size <= 4:
            self.true[key] = bytes(torch.tensor([], dtype=obj.dtype).set_(obj).numpy().tobytes())
        item = obj._element_size()
        return ("storage", _CLASSES[obj.dtype], key, "cpu", size // item)


_CLASSES = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage, torch.int32: torch.IntStorage}


def _torch_zip(path: Path, root: dict[str, Any], seed: int) -> Path:
    """Laid out by torch's own archive writer; the bytes of the large tensors come from the pool."""
    pickled = io.BytesIO()
    pickler = _Writer(pickled)
    pickler.dump(root)
    values = pool(seed).tobytes()
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record("data.pkl", pickled.getvalue(), len(pickled.getvalue()))
    writer.write_record("byteorder", "little", 6)
    for key, size in pickler.sizes.items():
        content = pickler.true.get(key) or values * (size // len(values)) + values[: size % len(values)]
        writer.write_record(f"data/{key}", content, size)
    writer.write_end_of_file()
    return path
