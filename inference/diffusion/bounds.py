"""What a shot may ask for at most, whoever asks: the last check before anything is allocated. Free of torch.

These are bounds of what can be rendered at all; what a user may ask for is the hub's business, and less.
"""

from __future__ import annotations

from inference.diffusion.jobs import Shot
from inference.diffusion.prompts import MAX_STRENGTH, parse
from inference.diffusion.samplernames import resolve
from registry.formats.errors import FormatError, LimitExceeded

MAX_STEPS = 150
"""A1111's own bound."""
MIN_SIDE, MAX_SIDE = 64, 4096
"""Pixels: below 64 no UNet's lowest level has a pixel of its own; above 4096 the latents alone need gigabytes of attention."""
MAX_CFG = 100.0
MAX_CLIP_SKIP = 12
"""A1111's own bound, and the layers of CLIP-L."""
MAX_SEED = 2**64 - 1
"""What a torch.Generator takes."""


def check_shot(shot: Shot) -> None:
    """Raises FormatError with a "render:" code for what cannot be rendered; prompts and sampler are read once to see that they can be."""
    _within("steps", "steps", shot.steps, 1, MAX_STEPS)
    _within("size", "pixels of width", shot.width, MIN_SIDE, MAX_SIDE)
    _within("size", "pixels of height", shot.height, MIN_SIDE, MAX_SIDE)
    _within("seed", "as a seed", shot.seed, 0, MAX_SEED)
    _within("clip-skip", "as CLIP skip", shot.clip_skip, 1, MAX_CLIP_SKIP)
    _within("cfg", "as CFG scale", shot.cfg_scale, 0, MAX_CFG)
    for addon in shot.addons:
        for strength in (addon.strength, 0.0 if addon.text_strength is None else addon.text_strength):
            _within("strength", "as a strength", strength, -MAX_STRENGTH, MAX_STRENGTH)
    resolve(shot.sampler, shot.schedule)
    parse(shot.prompt)
    parse(shot.negative_prompt)


def _within(code: str, words: str, number: float, least: float, most: float) -> None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise FormatError(f"render:{code}", f"{str(number)[:30]} {words} cannot be rendered: take a number.")
    if not least <= number <= most:  # NaN is not, and integers are compared without becoming floats, which overflow
        raise LimitExceeded(f"render:{code}", f"{str(number)[:30]} {words} cannot be rendered: take {least:,} to {most:,}.")
    if code in ("steps", "size", "seed", "clip-skip") and not isinstance(number, int):
        raise FormatError(f"render:{code}", f"{str(number)[:30]} {words} cannot be rendered: take a whole number.")
