"""Runs a training loop in two single-thread processes that average their gradients: far faster than one process with two threads.

It knows nothing of what is trained.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

PROCESSES = 2


def run_pair(work: Callable[..., None], *arguments: Any) -> None:
    """Call `work(rank, *arguments)` in both processes and wait; an error in either is raised here."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_one, args=(work, f"file://{folder}/meeting", arguments), nprocs=PROCESSES)


def _one(rank: int, work: Callable[..., None], meeting: str, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=PROCESSES)
    try:
        work(rank, *arguments)
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= PROCESSES
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view(gradient.shape))
        at += gradient.numel()


def gather(part: Tensor) -> Tensor:
    """The parts of all processes after one another, along the first dimension; all parts have one shape."""
    parts = [torch.empty_like(part) for _ in range(PROCESSES)]
    dist.all_gather(parts, part.contiguous())
    return torch.cat(parts)
