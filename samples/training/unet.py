"""The UNet of Stable Diffusion 1.x at any widths; its state dict has the 686 names of `model.diffusion_model`.

It is the network alone. Hypernetworks change what an attention takes for its context through `CrossAttention.context`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samples.training.layers import Norm, attend, conv3, unet_groups, zeroed

Contexts = Callable[[Tensor], tuple[Tensor, Tensor]]
"""What an attention's keys and values are made of, given its context."""


def heads_of(model_channels: int) -> int:
    """Attention heads: 8 at the published 320 channels, about 40 model channels a head at other widths."""
    return max(1, round(model_channels / 40))


def norm(channels: int, groups: int, eps: float = 1e-5) -> Norm:
    return Norm(groups, channels, eps=eps)


def timestep_embedding(steps: Tensor, width: int) -> Tensor:
    """Sinusoids of the timestep, cosines first, as in ldm: [B] -> [B, width]."""
    half = width // 2
    waves = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    angles = steps.float()[:, None] * waves[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResBlock(nn.Module):
    """Two convolutions around a skip, the time added between them."""

    def __init__(self, inp: int, out: int, emb: int, groups: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(norm(inp, groups), nn.SiLU(), conv3(inp, out))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb, out))
        self.out_layers = nn.Sequential(norm(out, groups), nn.SiLU(), nn.Dropout(0.0), zeroed(conv3(out, out)))
        self.skip_connection = nn.Identity() if inp == out else nn.Conv2d(inp, out, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class CrossAttention(nn.Module):
    """Attention to a context, or to itself when there is none."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k, self.to_v = (nn.Linear(context, width, bias=False) for _ in range(2))
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Dropout(0.0))
        self.contexts: Contexts | None = None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        for_k, for_v = (context, context) if self.contexts is None else self.contexts(context)
        return self.to_out(attend(self.to_q(x), self.to_k(for_k), self.to_v(for_v), self.heads))


class Gated(nn.Module):
    """A linear layer whose second half gates the first (GEGLU)."""

    def __init__(self, inp: int, out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(inp, out * 2)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(Gated(width, width * 4), nn.Dropout(0.0), nn.Linear(width * 4, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Self-attention, attention to the text, feed-forward."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(width, width, heads)
        self.ff = FeedForward(width)
        self.attn2 = CrossAttention(width, context, heads)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """A transformer block over the cells of a feature map."""

    def __init__(self, width: int, context: int, heads: int, groups: int) -> None:
        super().__init__()
        self.norm = norm(width, groups, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, context, heads)])
        self.proj_out = zeroed(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h = self.proj_in(self.norm(x))
        cells = self.transformer_blocks[0](h.flatten(2).transpose(1, 2), context)
        return x + self.proj_out(cells.transpose(1, 2).reshape(h.shape))


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = conv3(width, width, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = conv3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Stage(nn.Sequential):
    """Layers in a row, each given what it takes besides the features: the time, the text, or nothing."""

    def forward(self, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, emb)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context)
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """Noise of noisy latents [B,4,h,w] at timesteps [B] under a text context [B,tokens,width]."""

    def __init__(self, widths: tuple[int, ...], context: int) -> None:
        super().__init__()
        base, heads, groups = widths[0], heads_of(widths[0]), unet_groups(widths[0])
        self.base, emb = base, base * 4
        self.time_embed = nn.Sequential(nn.Linear(base, emb), nn.SiLU(), nn.Linear(emb, emb))
        stages, skips = [Stage(conv3(4, base))], [base]
        for level, width in enumerate(widths):
            for _ in range(2):
                layers: list[nn.Module] = [ResBlock(skips[-1], width, emb, groups)]
                if level < 3:
                    layers.append(SpatialTransformer(width, context, heads, groups))
                stages.append(Stage(*layers))
                skips.append(width)
            if level < 3:
                stages.append(Stage(Downsample(width)))
                skips.append(width)
        self.input_blocks = nn.ModuleList(stages)
        deep = widths[-1]
        middle = SpatialTransformer(deep, context, heads, groups)
        self.middle_block = Stage(ResBlock(deep, deep, emb, groups), middle, ResBlock(deep, deep, emb, groups))
        self.output_blocks = nn.ModuleList(_rising(widths, skips, emb, context))
        self.out = nn.Sequential(norm(base, groups), nn.SiLU(), zeroed(conv3(base, 4)))

    def forward(self, x: Tensor, steps: Tensor, context: Tensor) -> Tensor:
        emb = self.time_embed(timestep_embedding(steps, self.base))
        skips = []
        for stage in self.input_blocks:
            x = stage(x, emb, context)
            skips.append(x)
        x = self.middle_block(x, emb, context)
        for stage in self.output_blocks:
            x = stage(torch.cat([x, skips.pop()], dim=1), emb, context)
        return self.out(x)


def _rising(widths: tuple[int, ...], skips: list[int], emb: int, context: int) -> list[Stage]:
    """The twelve stages from the deepest level up, each taking one skip."""
    stages, width, heads, groups = [], widths[-1], heads_of(widths[0]), unet_groups(widths[0])
    for level in reversed(range(len(widths))):
        for third in range(3):
            layers: list[nn.Module] = [ResBlock(width + skips.pop(), widths[level], emb, groups)]
            width = widths[level]
            if level < 3:
                layers.append(SpatialTransformer(width, context, heads, groups))
            if level > 0 and third == 2:
                layers.append(Upsample(width))
            stages.append(Stage(*layers))
    return stages
