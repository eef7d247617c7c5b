"""Checkpoints of true shapes with random weights, for `bench.render`: `python -m bench.render_files sd15 PATH`. Measures nothing.

Names and shapes are those of the published files, numbers have the spread of a fresh model, so that nothing overflows; they are written
as they are drawn, so that no file is ever in memory. SD 1.5 takes 2.13 GB, SD 2.1 2.58 GB, SDXL 6.94 GB, its refiner 6.08 GB.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samples.layout import STANDARD, Shape, sd1, vae
from tests.registry.identify import unets

POOL = 1 << 22
"""Numbers that are drawn; tensors repeat them from changing places on."""
ODD = 104_729
"""Where each tensor starts in the pool: a prime apart from the one before it, so that no two layers are alike."""


def _with(unet: unets.Shape, *texts: Mapping[str, tuple[str, Shape]]) -> dict[str, Shape]:
    found = {name: shape for name, (_, shape) in unets.unet(unet).items()} | dict(vae("first_stage_model.", STANDARD))
    return found | {name: shape for text in texts for name, (_, shape) in text.items()}


LAYOUTS: dict[str, Callable[[], dict[str, Shape]]] = {
    "sd15": lambda: sd1(STANDARD),
    "sd21": lambda: _with(unets.SD2, unets.open_clip("cond_stage_model.model.", 1024, 24)),
    "sdxl": lambda: _with(
        unets.SDXL,
        unets.clip_l("conditioner.embedders.0.transformer."),
        unets.open_clip("conditioner.embedders.1.model.", 1280, 32),
    ),
    "refiner": lambda: _with(unets.REFINER, unets.open_clip("conditioner.embedders.0.model.", 1280, 32)),
}


def random_checkpoint(path: Path, family: str = "sd15", seed: int = 0) -> Path:
    """Writes an fp16 checkpoint of a published family's shapes; KeyError for one that is not in `LAYOUTS`. The seed fixes every byte."""
    shapes = LAYOUTS[family]()
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        whole = name.endswith("position_ids")
        size = prod(shape) * (8 if whole else 2)
        table[name] = {"dtype": "I64" if whole else "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pool = np.random.default_rng(seed).standard_normal(POOL, dtype=np.float32)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, (name, shape) in enumerate(shapes.items()):
            file.write(_numbers(name, shape, pool, number * ODD % POOL).tobytes())
    return path


def _numbers(name: str, shape: Shape, pool: npt.NDArray[np.float32], start: int) -> npt.NDArray[Any]:
    """One tensor: norms pass values through, biases are zero, matrices keep the variance of what goes in."""
    if name.endswith("position_ids"):
        return np.arange(shape[-1], dtype=np.int64)
    if len(shape) < 2:
        return np.full(shape, 1 if name.endswith(".weight") else 0, dtype=np.float16)
    scale = 0.02 if "embedding" in name else prod(shape[1:]) ** -0.5
    return np.resize((np.roll(pool, -start) * np.float32(scale)).astype(np.float16), shape)


if __name__ == "__main__":
    print(random_checkpoint(Path(sys.argv[2]), sys.argv[1]))
