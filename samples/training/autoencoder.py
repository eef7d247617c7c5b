"""The kl-f8 autoencoder of Stable Diffusion 1.x at any widths; its state dict has the 248 names of `first_stage_model`.

It is the network alone: how it is trained stands in `first_stage`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from samples.training.layers import Norm, attend, conv3, vae_groups, zeroed

LATENT = 4
"""Channels of a latent; eight pixels a side become one cell."""

SCALE = 0.18215
"""What Stable Diffusion 1.x multiplies latents by before diffusion."""


def norm(channels: int, groups: int) -> Norm:
    return Norm(groups, channels, eps=1e-6)


class Block(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, inp: int, out: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(inp, groups), conv3(inp, out)
        self.norm2, self.conv2 = norm(out, groups), zeroed(conv3(out, out))
        if inp != out:
            self.nin_shortcut = nn.Conv2d(inp, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attention(nn.Module):
    """One head over all cells, its projections 1x1 convolutions."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = norm(width, groups)
        self.q, self.k, self.v = (nn.Conv2d(width, width, 1) for _ in range(3))
        self.proj_out = zeroed(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return x + self.proj_out(attend(q, k, v, 1).transpose(1, 2).reshape(x.shape))


class Resample(nn.Module):
    """The convolution that halves a level, or that follows its doubling."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=stride, padding=0 if stride == 2 else 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.conv.stride == (2, 2):
            return self.conv(F.pad(x, (0, 1, 0, 1)))
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def _middle(width: int, groups: int) -> nn.ModuleDict:
    parts = {"block_1": Block(width, width, groups), "attn_1": Attention(width, groups), "block_2": Block(width, width, groups)}
    return nn.ModuleDict(parts)


def _through(middle: nn.ModuleDict, x: Tensor) -> Tensor:
    for part in middle.values():
        x = part(x)
    return x


class Encoder(nn.Module):
    """Pictures [B,3,H,W] -> mean and log-variance [B,8,H/8,W/8], before `quant_conv`."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        groups = vae_groups(widths[0])
        self.conv_in = conv3(3, widths[0])
        self.down = nn.ModuleList()
        inp = widths[0]
        for level, width in enumerate(widths):
            parts: dict[str, nn.Module] = {"block": nn.ModuleList([Block(inp, width, groups), Block(width, width, groups)])}
            if level < len(widths) - 1:
                parts["downsample"] = Resample(width, 2)
            self.down.append(nn.ModuleDict(parts))
            inp = width
        self.mid = _middle(inp, groups)
        self.norm_out, self.conv_out = norm(inp, groups), conv3(inp, 2 * LATENT)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            for block in level["block"]:
                x = block(x)
            x = level["downsample"](x) if "downsample" in level else x
        return self.conv_out(F.silu(self.norm_out(_through(self.mid, x))))


class Decoder(nn.Module):
    """Latents after `post_quant_conv` -> pictures; `up.0` is the widest picture and runs last."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        inp, groups = widths[-1], vae_groups(widths[0])
        self.conv_in = conv3(LATENT, inp)
        self.mid = _middle(inp, groups)
        levels: list[nn.Module] = []
        for level in reversed(range(len(widths))):
            blocks = [Block(inp if number == 0 else widths[level], widths[level], groups) for number in range(3)]
            parts: dict[str, nn.Module] = {"block": nn.ModuleList(blocks)}
            if level > 0:
                parts["upsample"] = Resample(widths[level], 1)
            levels.insert(0, nn.ModuleDict(parts))
            inp = widths[level]
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = norm(inp, groups), conv3(inp, 3)

    def forward(self, z: Tensor) -> Tensor:
        x = _through(self.mid, self.conv_in(z))
        for level in reversed(self.up):
            for block in level["block"]:
                x = block(x)
            x = level["upsample"](x) if "upsample" in level else x
        return self.conv_out(F.silu(self.norm_out(x)))


class Autoencoder(nn.Module):
    """Encoder and decoder with the two 1x1 convolutions between them."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(widths), Decoder(widths)
        self.quant_conv = nn.Conv2d(2 * LATENT, 2 * LATENT, 1)
        self.post_quant_conv = nn.Conv2d(LATENT, LATENT, 1)

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents, not yet scaled, each [B,4,H/8,W/8]; pictures are in [-1, 1]."""
        mean, logvar = self.quant_conv(self.encoder(pictures)).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures of unscaled latents."""
        return self.decoder(self.post_quant_conv(latents))
