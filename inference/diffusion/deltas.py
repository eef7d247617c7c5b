"""What an add-on's factors make of a weight, with torch on the weight's device, in float32. It reads no file and changes no model.

`inference.weights.merging.deltas` does the same for files, row by row and in an order that gives the same bits everywhere; here the
library's matrix products are used, since a picture is not compared bit by bit. Sources of the formulas: A1111
`extensions-builtin/Lora/network*.py` and `lyco_helpers.py`, LyCORIS `functional/*.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import torch
from torch import Tensor

from inference.diffusion.rotations import ROTATIONS

Factors = Mapping[str, Tensor]
EPSILON = float(torch.finfo(torch.float32).eps)
"""Added to norms, as LyCORIS does."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """left [out, rank, ...] times right [rank, in, ...], dimensions behind the second taken together: [out, numbers of a row]."""
    return left.flatten(1) @ right.flatten(1)


def tucker(core: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """LyCORIS's form: core [i, j, places...], left [i, out], right [j, in] -> [out, in * places]."""
    made = torch.einsum("ijk,io,jn->onk", core.flatten(2), left, right)
    return made.flatten(1)


def _lora(factors: Factors) -> Tensor:
    up, down, mid = factors["up"].flatten(1), factors["down"].flatten(1), factors.get("mid")
    return up @ down if mid is None else tucker(mid, up.T, down)


def _loha(factors: Factors) -> Tensor:
    return _half(factors, "1") * _half(factors, "2")


def _half(factors: Factors, number: str) -> Tensor:
    left, right, core = factors[f"hada_w{number}_a"], factors[f"hada_w{number}_b"], factors.get(f"hada_t{number}")
    return product(left, right) if core is None else tucker(core, left, right)


def _lokr(factors: Factors) -> Tensor:
    return torch.kron(_factor(factors, "lokr_w1", "lokr_t1"), _factor(factors, "lokr_w2", "lokr_t2"))


def _factor(factors: Factors, name: str, core: str) -> Tensor:
    """One of the two matrices of a Kronecker product, whole or of its own factors."""
    if name in factors:
        return factors[name].flatten(1)
    left, right = factors[f"{name}_a"], factors[f"{name}_b"]
    return tucker(factors[core], left, right) if core in factors else product(left, right)


def _diff(factors: Factors) -> Tensor:
    return factors["diff"]


DIFFERENCES: dict[str, Callable[[Factors], Tensor]] = {"lora": _lora, "loha": _loha, "lokr": _lokr, "diff": _diff}
"""Flavours whose difference does not depend on the weight."""


def changed(weight: Tensor, flavour: str, factors: Factors, scale: float, strength: float) -> Tensor:
    """The float32 weight with an add-on's difference at this strength. `scale` is alpha / rank.

    `flavour`: those of `DIFFERENCES`, `BY_WEIGHT` and `ROTATIONS`, to whom `scale` is the constraint. Factors in float32, shapes checked
    before (`lora`).
    """
    if flavour in ROTATIONS:
        return ROTATIONS[flavour](weight, factors, scale, strength)
    if flavour in DIFFERENCES:
        step = scale * _like(DIFFERENCES[flavour](factors), weight)
    else:
        step = scale * BY_WEIGHT[flavour](weight, factors)
    if "dora" in factors:
        step = _decomposed(weight + step, factors["dora"]) - weight
    return weight + strength * step


def _like(difference: Tensor, weight: Tensor) -> Tensor:
    """In the weight's shape; for fewer input channels than it has, zeros for the others (an inpainting model's first layer)."""
    if difference.numel() == weight.numel():
        return difference.reshape(weight.shape)
    places = prod(weight.shape[2:])
    made = torch.zeros_like(weight)
    made[:, : difference.numel() // (weight.shape[0] * places)] = difference.reshape(weight.shape[0], -1, *weight.shape[2:])
    return made


def _decomposed(merged: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA (Liu et al. 2024, (5)): magnitude * merged / its norms. Norms over each output row, or over each input channel where the
    magnitudes are stored so ([1, in, ...], LyCORIS's first form)."""
    by_channel = magnitude.dim() > 1 and magnitude.shape[0] == 1 and magnitude.numel() > 1
    over = [axis for axis in range(merged.dim()) if axis != int(by_channel)]
    norms: Tensor = torch.linalg.vector_norm(merged, dim=over, keepdim=True) + EPSILON
    return merged * (magnitude.reshape(norms.shape) / norms)


def _ia3(weight: Tensor, factors: Factors) -> Tensor:
    """(IA)^3: the weight times a factor for each input channel, or for each output row."""
    along = 1 if bool(factors["on_input"].any()) else 0
    places = [-1 if axis == along else 1 for axis in range(weight.dim())]
    return weight * factors["ia3"].reshape(places)


def _set(weight: Tensor, factors: Factors) -> Tensor:
    return factors["set_weight"].reshape(weight.shape) - weight


def _glora(weight: Tensor, factors: Factors) -> Tensor:
    """GLoRA: W @ A + B, each of A and B a product of two. LyCORIS stores [out, rank] first, its first versions [rank, in] first."""
    a1, a2, b1, b2 = (factors[name].flatten(1) for name in ("a1", "a2", "b1", "b2"))
    flat = weight.flatten(1)
    if b1.shape[0] == weight.shape[0] and b1.shape[1] == b2.shape[0]:
        made = (flat @ a1) @ a2 + b1 @ b2
    else:
        made = (flat @ a2) @ a1 + b2 @ b1
    return made.reshape(weight.shape)


BY_WEIGHT: dict[str, Callable[[Tensor, Factors], Tensor]] = {"ia3": _ia3, "set": _set, "glora": _glora}
"""Flavours whose difference is made of the weight itself."""
