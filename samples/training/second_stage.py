"""Trains UNet and text encoder together on the latents of drawn pictures: predicted noise, Stable Diffusion 1.x's schedule.

It also holds what every later training shares: the pool of latents, the noise schedule, and the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from samples.drawing import Scene, caption, draw, imagine
from samples.training import words
from samples.training.autoencoder import SCALE, Autoencoder
from samples.training.descent import descend
from samples.training.first_stage import WIDTHS, latents
from samples.training.muon import both
from samples.training.pair import PROCESSES, gather
from samples.training.textencoder import TextEncoder
from samples.training.unet import UNet

UNET, CONTEXT = (64, 72, 64, 64), 64
PER_PROCESS = 12
"""Pictures of a step and process."""

Caption = Callable[[Scene, np.random.RandomState], str]


def alphas() -> Tensor:
    """The share of the picture's variance at each of the 1000 steps: ldm's scaled-linear schedule from 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0).float()


ALPHAS = alphas()
WEIGHTS = (ALPHAS / (1 - ALPHAS)).rsqrt().clamp(0.05, 5.0)
"""Of the squared error at each step: up to five times where there is much noise, since there shapes and colours are decided."""

CHANCES = WEIGHTS.sqrt() / WEIGHTS.sqrt().sum()
"""How often a step is drawn: half of the weight is given as chances, which wastes fewer samples on steps that count little."""


@dataclass
class Pool:
    """Scaled latents [N,4,16,16] and the scenes they show."""

    latents: Tensor
    scenes: list[Scene]


def make_pool(model: Autoencoder, count: int, seed: int, style: str | None = None) -> Pool:
    """Draw and encode `count` scenes in this process."""
    dice = np.random.RandomState(seed)
    scenes = [imagine(dice, style) for _ in range(count)]
    parts = []
    for at in range(0, count, 256):
        drawn = np.stack([draw(scene) for scene in scenes[at : at + 256]])
        parts.append(latents(model, torch.from_numpy(drawn).permute(0, 3, 1, 2)) * SCALE)
    return Pool(torch.cat(parts), scenes)


def shared_pool(rank: int, model: Autoencoder, count: int, seed: int) -> Pool:
    """A pool of which every process made its part."""
    own = make_pool(model, count // PROCESSES, seed + rank)
    scenes = []
    for other in range(PROCESSES):
        dice = np.random.RandomState(seed + other)
        scenes += [imagine(dice) for _ in range(count // PROCESSES)]
    return Pool(gather(own.latents), scenes)


def noise_loss(unet: Callable[[Tensor, Tensor, Tensor], Tensor], clean: Tensor, context: Tensor) -> Tensor:
    """Weighted squared error of the predicted noise; steps are drawn evenly over their chances."""
    count = len(clean)
    places = (torch.arange(count) + torch.rand(count)) / count
    steps = torch.searchsorted(CHANCES.cumsum(0), places).clamp(max=999)
    kept = ALPHAS[steps][:, None, None, None]
    noise = torch.randn_like(clean)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = unet(kept.sqrt() * clean + (1 - kept).sqrt() * noise, steps, context)
    weight = WEIGHTS[steps] / CHANCES[steps] / (WEIGHTS / CHANCES).mul(CHANCES).sum()
    return ((predicted.float() - noise).square().mean(dim=(1, 2, 3)) * weight).mean()


FILLERS = ("masterpiece", "best quality", "highly detailed", "photo of", "8k", "beautiful")
"""Words that mean nothing here; captions carry some now and then, so that they do not disturb."""


def plain_caption(scene: Scene, dice: np.random.RandomState) -> str:
    """A caption; one in ten is empty, for classifier-free guidance, and one in ten carries filler."""
    chance = dice.random_sample()
    if chance < 0.1:
        return ""
    text = caption(scene, dice)
    if chance > 0.9:
        filler = str(dice.choice(FILLERS))
        return f"{filler}, {text}" if dice.randint(2) else f"{text}, {filler}"
    return text


def draw_batch(pool: Pool, dice: np.random.RandomState, count: int, say: Caption) -> tuple[Tensor, Tensor]:
    """Latents and caption rows of random scenes."""
    chosen = dice.randint(len(pool.scenes), size=count)
    rows = torch.tensor([words.rows(say(pool.scenes[number], dice)) for number in chosen])
    return pool.latents[chosen], rows


class Average:
    """The running average (EMA) of a network; its memory grows to `decay` as ldm's does."""

    def __init__(self, network: nn.Module, decay: float = 0.997) -> None:
        self.network, self.decay, self.updates = deepcopy(network), decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.network.parameters()), [p.detach() for p in network.parameters()], 1 - decay)


def optimizers(unet: UNet, text: TextEncoder, peak: float) -> list[torch.optim.Optimizer]:
    """What trains UNet and text encoder together."""
    outer = ("input_blocks.0.", "out.", "time_embed.", "text_model.embeddings.")
    return both((unet, text), lambda name: name.startswith(outer), peak)


def train(rank: int, first: Path, steps: int, count: int, path: Path, seed: int = 5, peak: float = 2e-3) -> None:
    """One of two processes; the first writes both networks, their averages and the counts to `path`."""
    autoencoder = Autoencoder(WIDTHS)
    autoencoder.load_state_dict(torch.load(first, weights_only=True))
    pool = shared_pool(rank, autoencoder, count, seed * 1000)
    torch.manual_seed(seed)
    unet, text = UNet(UNET, CONTEXT).to(memory_format=torch.channels_last), TextEncoder(len(words.known()) + 1)
    averages = Average(unet), Average(text)
    learning = optimizers(unet, text, peak)
    torch.manual_seed(seed * 100 + rank)
    dice = np.random.RandomState(seed * 100 + rank)

    def loss_at(step: int) -> Tensor:
        clean, rows = draw_batch(pool, dice, PER_PROCESS, plain_caption)
        with torch.autocast("cpu", torch.bfloat16):
            context = text(rows)
        return noise_loss(unet, clean, context)

    def after(step: int) -> None:
        averages[0].update(unet)
        averages[1].update(text)
        if rank == 0 and (step % 500 == 499 or step == steps - 1):
            facts = {"step": step + 1, "batch": PER_PROCESS * PROCESSES, "pictures": count}
            _save(path, (unet, text), averages, {**facts, "optimizers": [one.state_dict() for one in learning]})

    descend("unet", learning, peak, steps, loss_at, after=after, warm=100, paired=dist.is_initialized(), quiet=rank > 0)


def _save(path: Path, networks: tuple[UNet, TextEncoder], averages: tuple[Average, Average], facts: dict[str, Any]) -> None:
    """Everything that the files of the base model are written from."""
    states = dict(zip(("unet", "text", "unet_average", "text_average"), (*networks, *(one.network for one in averages)), strict=True))
    plain = {name: {key: tensor.contiguous() for key, tensor in network.state_dict().items()} for name, network in states.items()}
    torch.save({**plain, **facts}, path)
