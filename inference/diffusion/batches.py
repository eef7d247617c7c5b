"""Which shots go through the UNet together, and how many at once: what memory holds, measured, and less after it did not.

It renders nothing itself: `render` hands in what one batch takes.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Sequence

import torch

from inference.diffusion.jobs import Shot

CPU_PIXELS = 1 << 18
"""Of all pictures of a batch on a CPU: sixteen of 128x128, one of 512x512. Company saves reading the weights again where pictures are
small: an SD 1.5 UNet at 128x128 took 1.21 s of one core per row in batches of 2 rows, 0.70 s in 6, 0.60 s in 12 (float32)."""
LARGEST = 32
"""Pictures of a batch at most: so that a cancelled render ends soon, and pictures come before all are done."""
SPARE = 0.8
"""Share of the free memory of a GPU that a batch may take: libraries choose their workspaces by size, so the next batch may need more."""
_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
"""By which torch's errors about memory are known where they have no class of their own."""


def grouped(shots: Sequence[Shot]) -> list[list[int]]:
    """The shots' places by all that a batch must have in common, in the order in which the groups are first met."""
    groups: dict[Hashable, list[int]] = {}
    for place, shot in enumerate(shots):
        alike = (shot.addons, shot.clip_skip, shot.width, shot.height, shot.sampler, shot.schedule, shot.steps, shot.cfg_scale)
        groups.setdefault(alike, []).append(place)
    return list(groups.values())


def is_memory(error: BaseException) -> bool:
    """Whether the device or the machine had no room for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


class BatchSize:
    """How many pictures of one size go at once. Half as many as were tried after an error about memory, for good."""

    def __init__(self, device: str, pixels: int, measure: Callable[[], int]) -> None:
        """`measure` gives the bytes that one picture takes at its peak; it is asked on a GPU alone."""
        if device == "cuda":
            now = int(free_bytes() * SPARE / max(1, measure()))
        else:
            now = CPU_PIXELS // pixels
        self.now = min(LARGEST, max(1, now))

    def halve(self, tried: int) -> bool:
        """After an error about memory with so many at once, which may be fewer than were allowed: False if it was one alone."""
        if tried == 1:
            return False
        self.now = tried // 2
        return True


def let_go() -> None:
    """Gives back what nobody holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_bytes() -> int:
    """What the GPU has left: unused, or kept by torch for reuse."""
    free, _ = torch.cuda.mem_get_info()
    return int(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())


def peak_bytes(call: Callable[[], object]) -> int:
    """What a call takes on the GPU beyond what lies there already."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)
