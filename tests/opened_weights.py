"""A safetensors file on the disk as the renderer reads it."""

from __future__ import annotations

import os
from pathlib import Path

from inference.diffusion.weightfile import WeightFile, open_weights


def opened(path: Path) -> WeightFile:
    fd = os.open(path, os.O_RDONLY)
    try:
        return open_weights(fd)
    finally:
        os.close(fd)
