"""The training loop that every part of the family shares: learning rate, gradients, steps, and a line of progress now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from samples.training.pair import average_gradients


def warm_cosine(step: int, steps: int, peak: float, warm: int) -> float:
    """Learning rate: a linear rise, then half a cosine down to a fiftieth."""
    done = max(0.0, (step - warm) / max(1, steps - warm))
    return peak * min(1.0, (step + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def descend(
    label: str,
    learning: list[torch.optim.Optimizer],
    peak: float,
    steps: int,
    loss_at: Callable[[int], Tensor],
    *,
    after: Callable[[int], None] = lambda step: None,
    warm: int = 60,
    paired: bool = False,
    quiet: bool = False,
) -> None:
    """Take `steps` steps down `loss_at(step)`. `paired`: gradients are averaged with the other process; `after` runs behind each step."""
    parameters = [parameter for one in learning for group in one.param_groups for parameter in group["params"]]
    begun, recent = time.monotonic(), 0.0
    for step in range(steps):
        loss = loss_at(step)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        if paired:
            average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for one in learning:
            for group in one.param_groups:
                group["lr"] = warm_cosine(step, steps, peak, warm)
            one.step()
        after(step)
        recent += (loss.item() - recent) * max(0.02, 1 / (step + 1))
        if not quiet and (step % 100 == 99 or step == steps - 1):
            print(f"{label} {step + 1}/{steps}  loss {recent:.4f}  {time.monotonic() - begun:.0f} s", flush=True)
