"""What OFT, Diag-OFT and BOFT make of a weight: its rows turned by orthogonal matrices, with torch in float32. It reads no file.

Qiu et al. 2023, "Controlling Text-to-Image Diffusion by Orthogonal Finetuning"; Liu et al. 2024, "Parameter-Efficient Orthogonal
Finetuning via Butterfly Factorization". Layouts and strengths are those of LyCORIS (`functional/diag_oft.py`, `boft.py`) and kohya's
`networks/oft.py`; where their rescaled forms would change a model at strength 0, the rescaling grows with the strength instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import torch
from torch import Tensor

Shape = tuple[int, ...]
Factors = Mapping[str, Tensor]
TINY = 1e-8
"""Added to the norm that is held against the constraint, as LyCORIS does."""


def rotation_size(flavour: str, shapes: Mapping[str, Shape], rows: int) -> int | None:
    """Rows that one block turns together; None where the blocks do not fit a weight of so many rows. Blocks: [blocks, size, size] (OFT),
    [stages, blocks, size, size] (BOFT, of an even size, each stage pairing blocks twice as far apart)."""
    blocks, rescale = shapes["oft_blocks"], shapes.get("rescale")
    if len(blocks) != (4 if flavour == "boft" else 3) or blocks[-1] != blocks[-2] or blocks[-3] * blocks[-2] != rows:
        return None
    if rescale is not None and (rescale[:1] != (rows,) or prod(rescale) != rows):
        return None
    if flavour == "boft" and (blocks[-1] % 2 or not 0 < blocks[0] <= 32 or blocks[1] % 2 ** (blocks[0] - 1)):
        return None
    return blocks[-1]


def cayley(blocks: Tensor, constraint: float) -> Tensor:
    """The rotations (I + Q) (I - Q)^-1 of Q = B - B^T; Q's norm over all blocks is cut to `constraint`, where that is above 0."""
    skew = blocks - blocks.transpose(-1, -2)
    if constraint > 0:
        norm = torch.linalg.vector_norm(skew) + TINY
        skew = torch.where(norm > constraint, skew * (constraint / norm), skew)
    one = torch.eye(blocks.shape[-1], device=blocks.device, dtype=blocks.dtype)
    turns: Tensor = torch.linalg.solve(one - skew, one + skew)  # the two commute
    return turns


def _oft(weight: Tensor, factors: Factors, constraint: float, strength: float) -> Tensor:
    return _turned(weight, cayley(factors["oft_blocks"], constraint), factors, strength)


def _turned_already(weight: Tensor, factors: Factors, constraint: float, strength: float) -> Tensor:
    """LyCORIS before 2.0 kept the rotations themselves (`oft_diag`)."""
    return _turned(weight, factors["oft_blocks"], factors, strength)


def _turned(weight: Tensor, rotations: Tensor, factors: Factors, strength: float) -> Tensor:
    """Every block of rows times the transposed rotation; a share of the way there at a share of the strength."""
    rows = weight.reshape(rotations.shape[0], rotations.shape[1], -1)
    turned = (rotations.transpose(-1, -2) @ rows).reshape(weight.shape)
    return weight + strength * (_rescaled(turned, factors, 1.0) - weight)


def _boft(weight: Tensor, factors: Factors, constraint: float, strength: float) -> Tensor:
    """Stage after stage turns blocks made of rows twice as far apart as before; each stage goes its share of the way."""
    rotations = cayley(factors["oft_blocks"], constraint)
    size = rotations.shape[-1]
    one = torch.eye(size, device=weight.device, dtype=weight.dtype)
    rows = weight.flatten(1)
    for stage, turns in enumerate(rotations):
        apart = 2**stage * size // 2
        paired = rows.reshape(-1, 2, apart, rows.shape[-1]).transpose(1, 2).reshape(-1, size, rows.shape[-1])
        turned = (strength * turns + (1 - strength) * one) @ paired
        rows = turned.reshape(-1, apart, 2, rows.shape[-1]).transpose(1, 2).reshape(rows.shape)
    return _rescaled(rows.reshape(weight.shape), factors, strength)


def _rescaled(weight: Tensor, factors: Factors, strength: float) -> Tensor:
    if "rescale" not in factors:
        return weight
    scale = factors["rescale"].reshape(-1, *[1] * (weight.dim() - 1))
    return weight * (1 + strength * (scale - 1))


ROTATIONS: dict[str, Callable[[Tensor, Factors, float, float], Tensor]] = {"oft": _oft, "oft_diag": _turned_already, "boft": _boft}
"""(weight, factors, constraint, strength) -> the turned weight."""
