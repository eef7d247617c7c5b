"""Trains the autoencoder on drawn pictures, and brings its latents to mean 0 and variance 1 after the usual 0.18215.

It is not the diffusion model's training; that starts from the finished autoencoder.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samples.drawing import draw, imagine
from samples.training.autoencoder import SCALE, Autoencoder
from samples.training.descent import descend
from samples.training.muon import both

WIDTHS = (32, 48, 64, 64)
STYLES = (None, None, None, "neon", "sticker", "print")
"""Styles of the training pictures: half are the base model's own."""

ANCHOR = 1.3
"""The first three latents are drawn towards a cell's mean colour times this: latents that are colours diffuse more easily."""


def pictures(count: int, seed: int, styles: tuple[str | None, ...] = STYLES) -> Tensor:
    """Drawn pictures as bytes: [count, 3, 128, 128]."""
    dice = np.random.RandomState(seed)
    drawn = np.stack([draw(imagine(dice, styles[number % len(styles)])) for number in range(count)])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def to_unit(bytes_: Tensor) -> Tensor:
    """Bytes 0..255 as numbers -1..1."""
    return bytes_.float() / 127.5 - 1


def _batch(pool: Tensor, dice: np.random.RandomState, whole: bool) -> Tensor:
    """Two whole pictures, or eight quarters of pictures: they cost the same."""
    if whole:
        return to_unit(pool[dice.randint(len(pool), size=2)])
    cuts = []
    for number in dice.randint(len(pool), size=8):
        y, x = dice.randint(0, 65, size=2)
        cuts.append(pool[number, :, y : y + 64, x : x + 64])
    return to_unit(torch.stack(cuts)).contiguous(memory_format=torch.channels_last)


def loss_of(model: Autoencoder, batch: Tensor, pull: float = 0.03) -> Tensor:
    """Reconstruction error, a little of the usual divergence, and the pull of the first three latents towards colours."""
    with torch.autocast("cpu", torch.bfloat16):
        mean, logvar = model.encode(batch)
        mean, logvar = mean.float(), logvar.float()
        made = model.decode(mean + (0.5 * logvar).exp() * torch.randn_like(mean)).float()
    divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    colours = (mean[:, :3] - ANCHOR * F.avg_pool2d(batch, 8)).square().mean()
    return (made - batch).abs().mean() + (made - batch).square().mean() + 3e-4 * divergence + pull * colours


def train(rank: int, steps: int, path: Path, seed: int = 1, peak: float = 1e-3) -> None:
    """One of two processes; the first writes the state dict with normalised latents to `path`."""
    torch.manual_seed(seed)
    model = Autoencoder(WIDTHS).to(memory_format=torch.channels_last)
    begin_linear(model)
    torch.manual_seed(seed * 100 + rank)
    dice = np.random.RandomState(seed * 100 + rank)
    pool = pictures(2400, seed * 1000 + rank)
    learning = both([model], lambda name: "conv_in" in name or "conv_out" in name or "quant" in name, peak)

    def loss_at(step: int) -> Tensor:
        return loss_of(model, _batch(pool, dice, whole=step % 5 == 4), pull=max(0.03, 0.3 - step / steps))

    descend("vae", learning, peak, steps, loss_at, paired=True, quiet=rank > 0)
    if rank == 0:
        normalise(model, to_unit(pool[:192]))
        torch.save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)


CONTRAST = 2.0
"""The constant that two channels of every norm's group carry at the start, with either sign."""


@torch.no_grad()
def begin_linear(model: Autoencoder) -> None:
    """A start that already makes blocks of the right colour: the residual streams carry colours, resampling averages and copies.

    Every four channels start as (c, -c, K, -K), those that a level adds as (K, -K): the constant keeps the norm from dividing a plain
    picture's colour away, and silu(c) - silu(-c) = c lets it pass. From a usual start, minutes go by before training finds a way round.
    """
    for name, layer in model.named_modules():
        if name.endswith(("downsample.conv", "upsample.conv", "nin_shortcut", "coder.conv_in", "coder.conv_out")):
            nn.init.normal_(layer.weight, std=0.002)
            nn.init.zeros_(layer.bias)
        if name.endswith("downsample.conv"):
            layer.weight[:, :, :2, :2] += 0.25 * torch.eye(len(layer.weight))[:, :, None, None]
        elif name.endswith("upsample.conv"):
            layer.weight[:, :, 1, 1] += torch.eye(len(layer.weight))
        elif name.endswith("nin_shortcut"):
            layer.weight[:, :, 0, 0] += torch.eye(*layer.weight.shape[:2])
            layer.bias[layer.weight.shape[1] :: 2], layer.bias[layer.weight.shape[1] + 1 :: 2] = CONTRAST, -CONTRAST
        elif name.endswith("coder.conv_in"):
            groups = torch.arange(len(layer.bias) // 4)
            layer.weight[groups * 4, groups % 3, 1, 1] += 1.0
            layer.weight[groups * 4 + 1, groups % 3, 1, 1] -= 1.0
            layer.bias[2::4], layer.bias[3::4] = CONTRAST, -CONTRAST
        elif name.endswith("coder.conv_out"):
            groups = torch.arange(WIDTHS[0] // 4)
            part = CONTRAST / math.sqrt(2) * 3 / len(groups) * (ANCHOR if name.startswith("encoder") else 1 / ANCHOR)
            layer.weight[groups % 3, groups * 4, 1, 1] += part
            layer.weight[groups % 3, groups * 4 + 1, 1, 1] -= part
    for layer, size in ((model.quant_conv, 8), (model.post_quant_conv, 4)):
        layer.weight.copy_(torch.eye(size)[:, :, None, None])
        nn.init.zeros_(layer.bias)
    model.quant_conv.bias[4:] = -5.0  # little noise at first, or the decoder learns to look away


@torch.no_grad()
def latents(model: Autoencoder, bytes_: Tensor) -> Tensor:
    """Means of the pictures' latents, not scaled; [N, 4, 16, 16]."""
    model = model.to(memory_format=torch.channels_last).eval()
    with torch.autocast("cpu", torch.bfloat16):
        return torch.cat([model.encode(to_unit(part))[0].float() for part in bytes_.split(16)])


@torch.no_grad()
def normalise(model: Autoencoder, batch: Tensor) -> None:
    """Fold a shift and a symmetric whitening of the latents into the two 1x1 convolutions: 0.18215 times a latent then has variance 1.

    The variance is that of sampled latents, not of their means: a channel that training found no use for is mostly the sample's noise, and
    its mean stays near nothing. Log-variances get the diagonal's part, which is exact where the whitening is diagonal.
    """
    encoded = [model.encode(part) for part in batch.split(16)]
    rows = torch.cat([mean for mean, _ in encoded]).permute(1, 0, 2, 3).flatten(1)
    noise = torch.cat([logvar for _, logvar in encoded]).exp().mean(dim=(0, 2, 3))
    middle = rows.mean(dim=1)
    values, vectors = torch.linalg.eigh(torch.cov(rows) + torch.diag(noise))
    white = vectors @ torch.diag(values.rsqrt()) @ vectors.T / SCALE
    quant, post = model.quant_conv, model.post_quant_conv
    kernel, bias = quant.weight[:, :, 0, 0], quant.bias
    kernel[:4], bias[:4] = white @ kernel[:4], white @ (bias[:4] - middle)
    bias[4:] += 2 * white.diagonal().abs().log()
    post.bias += post.weight[:, :, 0, 0] @ middle
    post.weight[:, :, 0, 0] = post.weight[:, :, 0, 0] @ torch.linalg.inv(white)
