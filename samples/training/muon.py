"""The Muon optimizer for small networks: momentum whose every matrix is brought near to an orthogonal one before it is applied.

After Keller Jordan's method (2024): a quintic Newton-Schulz iteration; updates are scaled as "Muon is scalable" (2025) does, to the size
that AdamW's have, so that one learning rate serves both. Matrices of one shape are handled together. Convolutions count as matrices of
their output channels. What is no matrix is left to AdamW.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the iteration: chosen by its author for speed, so that singular values end between about 0.7 and 1.2."""


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Each [out, in] matrix of a [count, out, in] batch with its singular values near 1."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = (x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).bfloat16()
    for _ in range(rounds):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Takes parameters of two and more dimensions; `lr` is on AdamW's scale."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape[0], parameter[0].numel()].append(parameter)
            for shape, parameters in alike.items():
                self._update(shape, parameters, group)

    def _update(self, shape: tuple[int, int], parameters: list[Tensor], group: dict[str, float]) -> None:
        memories = []
        for parameter in parameters:
            memory = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
            memory.lerp_(parameter.grad, 1 - group["momentum"])
            memories.append(torch.lerp(parameter.grad, memory, group["momentum"]).reshape(shape))
        scale = -group["lr"] * 0.2 * max(shape) ** 0.5
        for parameter, update in zip(parameters, orthogonal(torch.stack(memories)), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.view(parameter.shape), alpha=scale)


def both(networks: Iterable[nn.Module], is_outer: Callable[[str], bool], lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the networks, AdamW for their outer layers (`is_outer` of a name), embeddings, norms and biases."""
    matrices, rest = [], []
    for network in networks:
        for name, parameter in network.named_parameters():
            (rest if parameter.ndim < 2 or is_outer(name) else matrices).append(parameter)
    return [Muon(matrices, lr=lr, weight_decay=0.01), torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.99), weight_decay=0.0)]
