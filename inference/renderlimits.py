"""What may be asked of a render at most, each refusal a sentence that names the limit. The numbers are settings (`WEIGH_RENDER_*`)."""

from __future__ import annotations

import math
import unicodedata
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from inference import workers
from inference.diffusion.bounds import MAX_SIDE, MIN_SIDE
from inference.diffusion.prompts import MAX_PROMPT_BYTES
from inference.models import Purpose, Render, Shot
from registry.lifecycle import RenderState
from registry.models import User
from registry.refusals import Refusal

OPEN = (RenderState.WANTED, RenderState.RENDERING)
MULTIPLE = 8
"""Latents are an eighth of a picture in width and height."""
MAX_CFG, MAX_SEED, MAX_CLIP_SKIP = 30.0, 2**32 - 1, 12
MAX_ADDONS = 16
MAX_STRENGTH = 10.0
ASKED_FOR_ONE_MADE = 4
"""Requests of a day for each picture that may be rendered: what is at hand already costs a row, and no more."""
CPU_PIXELS, GPU_PIXELS = 1024 * 1024, 2048 * 2048


class NoRender(Refusal):
    """This cannot be rendered, cancelled or tried again, or not now."""

    STATUS = 400


def most_pixels() -> int:
    """Pixels of one picture at most: a setting, else by what the workers have."""
    return int(settings.RENDER_MAX_PIXELS) or (GPU_PIXELS if workers.has_gpu() else CPU_PIXELS)


def check_size(width: Any, height: Any) -> None:
    """Raises `NoRender` `render:size`."""
    if not (_whole(width) and _whole(height)):
        raise NoRender("render:size", "Width and height are whole numbers of pixels.")
    if not all(MIN_SIDE <= side <= MAX_SIDE and side % MULTIPLE == 0 for side in (width, height)):
        rule = f"width and height are multiples of {MULTIPLE} from {MIN_SIDE} to {MAX_SIDE} pixels"
        raise NoRender("render:size", f"A picture of {_shown(width)}x{_shown(height)} cannot be made: {rule}.")
    most = most_pixels()
    if width * height > most:
        side = math.isqrt(most)
        text = f"A picture of {width}x{height} has {width * height:,} pixels; at most {most:,} ({side}x{side}) are rendered here."
        raise NoRender("render:size", text)


def check_numbers(*, steps: Any, cfg_scale: Any, seed: Any, clip_skip: Any) -> None:
    """Raises `NoRender` `render:steps`, `render:cfg-scale`, `render:seed`, `render:clip-skip`."""
    most = settings.RENDER_MAX_STEPS
    if not _whole(steps) or not 1 <= steps <= most:
        raise NoRender("render:steps", f"Steps must be a whole number from 1 to {most}; this asks for {_shown(steps)}.")
    if not _number(cfg_scale) or not 0 <= cfg_scale <= MAX_CFG:
        raise NoRender("render:cfg-scale", f"The CFG scale must be a number from 0 to {MAX_CFG:g}; this asks for {_shown(cfg_scale)}.")
    if not _whole(seed) or not -1 <= seed <= MAX_SEED:
        text = f"A seed is a whole number from 0 to {MAX_SEED:,}, or -1 for one drawn by chance; this asks for {_shown(seed)}."
        raise NoRender("render:seed", text)
    if not _whole(clip_skip) or not 1 <= clip_skip <= MAX_CLIP_SKIP:
        raise NoRender("render:clip-skip", f"CLIP skip counts from 1 to {MAX_CLIP_SKIP}; this asks for {_shown(clip_skip)}.")


def check_count(batch_size: Any, n_iter: Any) -> int:
    """How many pictures are asked for. Raises `NoRender` `render:pictures`."""
    most = settings.RENDER_MAX_PICTURES
    if not (_whole(batch_size) and _whole(n_iter)) or min(batch_size, n_iter) < 1 or batch_size * n_iter > most:
        asked = f"{_shown(batch_size)} times {_shown(n_iter)}"
        raise NoRender("render:pictures", f"batch_size times n_iter must be from 1 to {most} pictures; this asks for {asked}.")
    return int(batch_size * n_iter)


def clean_prompt(text: Any, what: str) -> str:
    """A prompt without control characters. Raises `NoRender` `render:prompt` for one of more than 10 kB, or no text."""
    if not isinstance(text, str):
        raise NoRender("render:prompt", f"The {what} is a text.")
    kept = "".join(char for char in text.replace("\r\n", "\n") if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"})
    size = len(kept.encode())
    if size > MAX_PROMPT_BYTES:
        raise NoRender("render:prompt", f"The {what} has {size:,} bytes; at most {MAX_PROMPT_BYTES:,} are read. Shorten it.")
    return kept.strip()


def strength(value: Any, name: str) -> float:
    """Raises `NoRender` `render:strength`."""
    if not _number(value) or abs(value) > MAX_STRENGTH:
        text = f"The strength of {name} must be a number from {-MAX_STRENGTH:g} to {MAX_STRENGTH:g}; this asks for {_shown(value)}."
        raise NoRender("render:strength", text)
    return float(value)


def check_room(user: User, pictures: int) -> None:
    """Raises `NoRender` (429) `render:too-many`, `render:day`. It holds with the user's row locked."""
    most, a_day = settings.RENDER_OPEN_PER_USER, settings.RENDER_PICTURES_PER_DAY
    own = Render.objects.filter(owner=user, purpose=Purpose.TXT2IMG)
    if own.filter(state__in=OPEN).count() >= most:
        raise NoRender("render:too-many", f"You have {most} renders waiting or running. Wait until one is done, or cancel one.", 429)
    today = own.filter(created_at__gte=timezone.now() - timedelta(days=1))
    done = Shot.objects.filter(render__in=today.filter(steps_total__gt=0)).count()
    if done + pictures > a_day:
        raise NoRender("render:day", f"You asked for {done} pictures within a day; at most {a_day} are rendered. Try again later.", 429)
    if today.count() >= ASKED_FOR_ONE_MADE * a_day:
        raise NoRender("render:day", f"You asked {ASKED_FOR_ONE_MADE * a_day} times within a day. Try again later.", 429)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)  # of any size: asked for its finiteness, a large one overflows
    return whole or (isinstance(value, float) and math.isfinite(value))


def _shown(value: Any) -> str:
    return str(value)[:40]
