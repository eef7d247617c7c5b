"""The two spellings of one UNet: ldm's numbered blocks and diffusers' named ones, in both directions. Pure arithmetic on names.

Where a level ends is read from the names themselves (down- and upsamplers), so that shortened UNets (KOALA, SSD-1B) map as well as
the published ones. Sources: CompVis ldm `openaimodel.py` (order of blocks), diffusers `unet_2d_condition.py` (names of modules).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

OUTER: tuple[tuple[str, str], ...] = (
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
)
"""Modules outside of the blocks: ldm's name, diffusers' name."""

RESNET: tuple[tuple[str, str], ...] = (
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
)
"""Modules of a residual block, likewise."""

_OUTER_TO = dict(OUTER)
_OUTER_FROM = {diffusers: ldm for ldm, diffusers in OUTER}
_RESNET_TO = dict(RESNET)
_RESNET_FROM = {diffusers: ldm for ldm, diffusers in RESNET}
MIDDLE = {("0", "resnets"): "0", ("1", "resnets"): "2", ("0", "attentions"): "1"}
MAX_BLOCKS = 64
"""Numbers of blocks above this are not believed; the deepest published UNet has 12."""


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < MAX_BLOCKS else None


class LdmUnet:
    """ldm names -> diffusers names, for the UNet whose parameter names (without prefix) are given."""

    def __init__(self, names: Iterable[str]) -> None:
        downs: set[int] = set()
        ups: set[int] = set()
        for name in names:
            if name.endswith(".0.op.weight") and name.startswith("input_blocks."):
                downs.add(_number(name.split(".")[1]) or 0)
            elif name.endswith(".conv.weight") and name.startswith("output_blocks."):
                number = _number(name.split(".")[1])
                ups |= set() if number is None else {number}
        self._downs, self._ups = sorted(downs - {0}), sorted(ups)

    def diffusers(self, module: str) -> str | None:
        """Name of an ldm module ("input_blocks.1.1.proj_in") at diffusers, or None for one that it does not have."""
        if module in _OUTER_TO:
            return _OUTER_TO[module]
        head, _, rest = module.partition(".")
        at, _, rest = rest.partition(".")
        slot, _, inner = rest.partition(".")
        number = _number(at)
        if number is None:
            return None
        if head == "middle_block":
            return self._middle(number, rest)
        if head == "input_blocks":
            return self._down(number, slot, inner)
        return self._up(number, slot, inner) if head == "output_blocks" else None

    def _middle(self, number: int, inner: str) -> str | None:
        if number == 1:
            return f"mid_block.attentions.0.{inner}"
        return _resnet(f"mid_block.resnets.{number // 2}", inner) if number in (0, 2) else None

    def _down(self, number: int, slot: str, inner: str) -> str | None:
        level = bisect_left(self._downs, number)
        if number in self._downs:
            return f"down_blocks.{level}.downsamplers.0.conv" if (slot, inner) == ("0", "op") else None
        index = number - 1 - (self._downs[level - 1] if level else 0)
        if slot == "0":
            return _resnet(f"down_blocks.{level}.resnets.{index}", inner)
        return f"down_blocks.{level}.attentions.{index}.{inner}" if slot == "1" else None

    def _up(self, number: int, slot: str, inner: str) -> str | None:
        level = bisect_left(self._ups, number)
        index = number - (self._ups[level - 1] + 1 if level else 0)
        if slot in ("1", "2") and inner == "conv":
            return f"up_blocks.{level}.upsamplers.0.conv"
        if slot == "0":
            return _resnet(f"up_blocks.{level}.resnets.{index}", inner)
        return f"up_blocks.{level}.attentions.{index}.{inner}" if slot == "1" else None


def _resnet(block: str, inner: str) -> str | None:
    return f"{block}.{_RESNET_TO[inner]}" if inner in _RESNET_TO else None


class DiffusersUnet:
    """diffusers names -> ldm names, for the UNet whose parameter names (without prefix) are given."""

    def __init__(self, names: Iterable[str]) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._attentive: set[int] = set()
        for name in names:
            side, _, rest = name.partition(".")
            if side not in ("down_blocks", "up_blocks"):
                continue
            at, kind, index = (*rest.split(".", 3), "", "")[:3]
            level, number = _number(at), _number(index)
            if level is None or number is None:
                continue
            if kind == "resnets":
                self._counts[side, level] = max(self._counts.get((side, level), 0), number + 1)
            elif kind == "attentions" and side == "up_blocks":
                self._attentive.add(level)

    def ldm(self, module: str) -> str | None:
        """Name of a diffusers module ("down_blocks.0.attentions.0.proj_in") at ldm, or None for one that it does not have."""
        if module in _OUTER_FROM:
            return _OUTER_FROM[module]
        side, _, rest = module.partition(".")
        if side == "mid_block":
            kind, at, inner = (*rest.split(".", 2), "", "")[:3]
            slot = MIDDLE.get((at, kind))
            return _ldm(f"middle_block.{slot}", kind, inner) if slot else None
        at, kind, index, inner = (*rest.split(".", 3), "", "", "")[:4]
        level, number = _number(at), _number(index)
        if level is None or number is None or side not in ("down_blocks", "up_blocks"):
            return None
        return self._in(side, level, number, kind, inner)

    def _in(self, side: str, level: int, number: int, kind: str, inner: str) -> str | None:
        down = side == "down_blocks"
        before = sum(self._counts.get((side, lower), 0) + down for lower in range(level)) + down
        if (kind, inner) == ("downsamplers", "conv"):
            return f"input_blocks.{before + self._counts.get((side, level), 0)}.0.op"
        if (kind, inner) == ("upsamplers", "conv"):
            last = before + self._counts.get((side, level), 1) - 1
            return f"output_blocks.{last}.{2 if level in self._attentive else 1}.conv"
        block = f"{'input' if down else 'output'}_blocks.{before + number}"
        return _ldm(f"{block}.{0 if kind == 'resnets' else 1}", kind, inner)


def _ldm(block: str, kind: str, inner: str) -> str | None:
    if kind == "attentions":
        return f"{block}.{inner}"
    return f"{block}.{_RESNET_FROM[inner]}" if kind == "resnets" and inner in _RESNET_FROM else None
