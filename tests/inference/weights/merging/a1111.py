"""The checkpoint merger's formulas written out in torch on whole state dicts: what our merges are held against. Slow and plain."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save

State = dict[str, torch.Tensor]
NEVER = "position_ids"


def merge(
    a: State,
    b: State | None = None,
    c: State | None = None,
    *,
    method: str = "weighted_sum",
    m: float = 0.5,
    half: bool = False,
    vae: State | None = None,
    discard: str = "",
    weights: dict[str, float] | None = None,
) -> State:
    """Every merged tensor by the formula; whole numbers and position ids stay A's, as in our merger (the original skips one name)."""
    out = {name: tensor.clone() for name, tensor in a.items()}
    for name in a:
        if b is None or name not in b or "model" not in name or name.endswith(NEVER) or not a[name].is_floating_point():
            continue
        share = m if weights is None else weights.get(name, m)
        if weights is not None and share == 0:
            continue
        out[name] = to_half(_one(a[name], b[name], _difference(name, b, c) if method == "add_difference" else None, share), half)
    for name, tensor in (vae or {}).items():
        if f"first_stage_model.{name}" in out:
            out[f"first_stage_model.{name}"] = to_half(tensor, half)
    if b is None and half:
        out = {name: to_half(tensor, True) for name, tensor in out.items()}
    return {name: tensor for name, tensor in out.items() if not discard or not re.search(discard, name)}


def _difference(name: str, b: State, c: State | None) -> torch.Tensor:
    return b[name] - c[name] if c is not None and name in c else torch.zeros_like(b[name])


def _one(a: torch.Tensor, b: torch.Tensor, difference: torch.Tensor | None, m: float) -> torch.Tensor:
    if a.shape != b.shape:
        head = _one(a[:, :4], b, difference, m)
        whole = a.clone()
        whole[:, :4] = head
        return whole
    return (1 - m) * a + m * b if difference is None else a + m * difference


def to_half(tensor: torch.Tensor, enable: bool) -> torch.Tensor:
    return tensor.half() if enable and tensor.dtype == torch.float32 else tensor


def written(state: State) -> bytes:
    """The bytes that safetensors' own writer makes of a state dict, with {"format": "pt"} alone."""
    return save({name: tensor.contiguous() for name, tensor in state.items()}, {"format": "pt"})


def read(path: Path) -> State:
    return load_file(path)
