"""Which block of the UNet a tensor belongs to, and so which of a merge's block weights it takes. Names only.

Blocks, their order and what belongs to them are supermerger's (scripts/mergers/mergers.py, BLOCKID and blockfromkey): BASE, IN00.., M00,
OUT00... The embeddings of time and label count as IN00 and `out.` as the last OUT block; text encoder and VAE take BASE.
"""

from __future__ import annotations

import re

from registry.formats.errors import FormatError
from registry.identify.keys import ema_name

EMBEDDED = re.compile(r"(?:model\.)?diffusion_model\.(?:time_embed|label_emb)\.")
NUMBERED = re.compile(r"(?:model\.)?diffusion_model\.(input_blocks|middle_block|output_blocks|out)\.(\d{1,3})\.")
DEPTHS = {12: "SD 1.x and 2.x", 9: "SDXL"}
"""Input (and output) blocks of the UNets that have block weights."""


def block_weights(names: list[str], values: tuple[float, ...], multiplier: float) -> dict[str, float]:
    """Name -> weight for every name of a model; the multiplier for all of them where there are no `values`.

    EMA averages go with the weight they are an average of. Raises FormatError `merge:blocks` where the UNet has another number of blocks.
    """
    if not values:
        return dict.fromkeys(names, multiplier)
    depth = 1 + max((int(found[2]) for name in names if (found := NUMBERED.match(name)) and found[1] == "input_blocks"), default=-1)
    wanted = (len(values) - 1) // 2
    if depth != wanted:
        have = f"{depth} input blocks" if depth else "no UNet in ldm's names"
        raise FormatError("merge:blocks", f"{len(values)} block weights are for a UNet of {DEPTHS[wanted]}, but model A has {have}.")
    table = values if len(values) % 2 == 0 else (multiplier, *values)
    own = {name: table[block_index(name, depth)] for name in names}
    averages = {ema: weight for name, weight in own.items() if (ema := ema_name(name)) is not None}
    return {name: averages.get(name, weight) for name, weight in own.items()}


def block_index(name: str, depth: int) -> int:
    """Position of a tensor's block in BASE, IN00.., M00, OUT00.. of a UNet with `depth` input blocks; 0 (BASE) for all other tensors."""
    found = NUMBERED.match(name)
    if found is None:
        return 1 if EMBEDDED.match(name) else 0
    part, number = found[1], int(found[2])
    at = {"input_blocks": 1 + number, "middle_block": 1 + depth, "output_blocks": 2 + depth + number, "out": 1 + 2 * depth}[part]
    return at if at <= 1 + 2 * depth else 0
