"""The layers that the three networks share, each under the names that CompVis' ldm gave its modules.

Group norms and head counts follow the rules by which any width of this layout is read: see `unet_groups`, `vae_groups`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def unet_groups(model_channels: int) -> int:
    """Groups of all of a UNet's norms: 32 at the published 320 model channels, an eighth of narrower ones."""
    return min(32, model_channels // 8)


def vae_groups(first: int) -> int:
    """Groups of all of an autoencoder's norms: 32 at the published first width of 128, a quarter of narrower ones."""
    return min(32, first // 4)


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer with zero parameters: a residual branch ending in it starts as nothing, as in ldm."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Norm(nn.GroupNorm):
    """Group norm in full precision also where the rest runs in bfloat16: the mixed kernel takes twice as long."""

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x.float(), self.num_groups, self.weight, self.bias, self.eps)


def conv3(inp: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inp, out, 3, stride=stride, padding=1)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Attention over [batch, tokens, width] tensors, the width split among the heads; `mask` is added to the scores.

    Written out: at these widths the fused kernel's way back takes three times as long on a CPU.
    """
    batch, tokens, width = q.shape
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1) for x in (q, k, v))
    scores = q * (width // heads) ** -0.5 @ k.transpose(1, 2)
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    return (weights.to(v.dtype) @ v).view(batch, heads, tokens, -1).transpose(1, 2).flatten(2)
