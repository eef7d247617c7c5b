"""The configuration of a UNet, read off the names and shapes of its tensors. Free of torch; it builds no model and reads no weights.

What shapes cannot tell are three rules that give the published models' values and hold for narrower ones: heads, groups, and which of
the two head rules a model follows (SD 1.x projects by 1x1 convolutions and has a fixed number of heads; later ones have heads of 64).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.formats.errors import FormatError

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

PREFIX = "model.diffusion_model."
MAX_CHANNELS = 16_384
MAX_LEVELS, MAX_BLOCKS, MAX_DEPTH = 6, 60, 24
"""Far beyond any published UNet (1280 channels, 4 levels, 12 blocks, 10 transformers): what is larger is built to exhaust a machine."""
HEAD_CHANNELS = 64
SIZES_EMBEDDING = 256
"""Channels into which SDXL turns each of its sizes (original, crop, target) beside the time."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution: its channels, and how many transformers follow each of its residual blocks."""

    channels: int
    depths: tuple[int, ...]

    @property
    def attends(self) -> bool:
        return any(self.depths)


def heads_of(channels: int, *, linear: bool) -> int:
    """Heads of attention in a block; 320 channels have 8 in SD 1.x and 5 in SD 2 and SDXL."""
    return max(1, channels // HEAD_CHANNELS) if linear else max(1, round(channels / 40))


def unet_config(shapes: Shapes, prefix: str = PREFIX) -> dict[str, Any]:
    """Arguments of diffusers' `UNet2DConditionModel` for the ldm tensors under `prefix`, without `sample_size`.

    Raises `FormatError` "render:layout" for what is no such UNet.
    """
    own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    down = _levels(own)
    up = _depths_up(own, len(down), len(down[0].depths) + 1)
    context, linear = _context(own)
    widths = [level.channels for level in down]
    config: dict[str, Any] = {
        "in_channels": _dimension(own, "input_blocks.0.0.weight", 1),
        "out_channels": _dimension(own, "out.2.weight", 0),
        "block_out_channels": widths,
        "layers_per_block": len(down[0].depths),
        "down_block_types": ["CrossAttnDownBlock2D" if level.attends else "DownBlock2D" for level in down],
        "up_block_types": ["CrossAttnUpBlock2D" if any(depths) else "UpBlock2D" for depths in up],
        "norm_num_groups": _groups(widths),
        "cross_attention_dim": context,
        "use_linear_projection": linear,
        "attention_head_dim": [heads_of(width, linear=True) for width in widths] if linear else heads_of(widths[0], linear=False),
    }
    labels = {}
    if "label_emb.0.0.weight" in own:
        labels = {"addition_embed_type": "text_time", "addition_time_embed_dim": SIZES_EMBEDDING}
        labels["projection_class_embeddings_input_dim"] = _dimension(own, "label_emb.0.0.weight", 1)
    return {**config, **_transformers(down, up, _middle(own)), **labels}


def _levels(own: Shapes) -> list[Level]:
    """The way down: blocks in their order, a new level behind each downsampling."""
    levels: list[Level] = []
    depths: list[int] = []
    channels = 0
    for number in range(1, MAX_BLOCKS + 1):
        block = f"input_blocks.{number}"
        if f"{block}.0.op.weight" in own:
            levels.append(Level(channels, tuple(depths)))
            depths = []
        elif f"{block}.0.in_layers.2.weight" in own:
            channels = _dimension(own, f"{block}.0.in_layers.2.weight", 0)
            depths.append(_depth(own, f"{block}.1"))
        else:
            break
    levels.append(Level(channels, tuple(depths)))
    if len(levels) > MAX_LEVELS or len({len(level.depths) for level in levels}) != 1 or not levels[0].depths:
        raise _strange("its blocks are not grouped in levels of equal length")
    return levels


def _depths_up(own: Shapes, levels: int, each: int) -> list[tuple[int, ...]]:
    """Transformers behind each residual block going up, by level, the deepest first."""
    found = tuple(_depth(own, f"output_blocks.{number}.1") for number in range(levels * each))
    return [found[level * each : (level + 1) * each] for level in range(levels)]


def _depth(own: Shapes, block: str) -> int:
    """How many transformers a block has, counted without a gap."""
    for number in range(MAX_DEPTH + 1):
        if f"{block}.transformer_blocks.{number}.attn1.to_q.weight" not in own:
            return number
    raise _strange(f"{block} has more than {MAX_DEPTH} transformers")


def _middle(own: Shapes) -> int | None:
    """Transformers of the middle block; None where it has no attention at all, as in shortened SDXL models."""
    return _depth(own, "middle_block.1") or None


def _context(own: Shapes) -> tuple[int, bool]:
    """(numbers for each token of text, whether projections are linear layers)."""
    key = next((name for name in own if name.endswith("transformer_blocks.0.attn2.to_k.weight")), None)
    project = next((name for name in own if name.endswith(".proj_in.weight")), None)
    if key is None or project is None:
        raise _strange("it has no attention to text")
    return _dimension(own, key, 1), len(own[project]) == 2


def _transformers(down: list[Level], up: list[tuple[int, ...]], middle: int | None) -> dict[str, Any]:
    """How many transformers each block has, as diffusers is told: one number, one a level, or lists for shortened models."""
    there, back = [_told(level.depths) for level in down], [_told(depths) for depths in up]
    attentive = [level.attends for level in down]
    if middle and not attentive[-1]:  # diffusers takes the middle's depth from the last level, also where that has no attention itself
        there[-1] = back[0] = middle
        attentive[-1] = True
    elif middle and there[-1] != middle:
        raise _strange("its middle is as deep as no other block")
    config: dict[str, Any] = {} if middle else {"mid_block_type": "UNetMidBlock2D"}
    if back != there[::-1]:
        return {"transformer_layers_per_block": there, "reverse_transformer_layers_per_block": back, **config}
    depths = [depth for depth, attends in zip(there, attentive, strict=True) if attends]
    same = all(depth == depths[0] for depth in depths)
    return {"transformer_layers_per_block": depths[0] if same else there, **config}


def _told(depths: tuple[int, ...]) -> int | list[int]:
    """The depths of one level; without any attention diffusers still wants a number, which it does not use."""
    if not any(depths):
        return 1
    return depths[0] if len(set(depths)) == 1 else list(depths)


def _groups(widths: list[int]) -> int:
    """Groups of normalisation: 32 from 256 channels on, which every published model has; narrower ones have groups of eight channels."""
    groups = max(1, min(32, widths[0] // 8))
    if any(width % groups for width in widths):
        raise _strange("its channels do not divide into groups")
    return groups


def _dimension(own: Shapes, name: str, axis: int) -> int:
    shape = own.get(name, ())
    if not axis < len(shape):
        raise _strange(f"{name} is missing")
    if not 0 < shape[axis] <= MAX_CHANNELS:
        raise _strange(f"{name} has {shape[axis]} channels")
    return shape[axis]


def _strange(what: str) -> FormatError:
    return FormatError("render:layout", f"The diffusion model is not laid out as Stable Diffusion's: {what}.")
