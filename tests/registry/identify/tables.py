"""How the fixtures are written down: one line a module, blocks by their number. Tables become name -> (dtype, shape); no weights exist.

A line is `module shape [b]`: `double_blocks.{19}.img_attn.qkv 9216x3072 b` stands for 19 blocks with weight and bias. A name that starts
with `=` is a tensor's whole name. Shapes are those of the published files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Keys = dict[str, tuple[str, tuple[int, ...]]]
COUNT = re.compile(r"\{(\d+)\}")


def table(text: str, dtype: str = "F16") -> Keys:
    """All tensors of a model that is written as lines of `module shape [b]`."""
    found: Keys = {}
    for line in text.split("\n"):
        if not line.strip():
            continue
        name, dims, *bias = line.split()
        shape = tuple(int(number) for number in dims.split("x")) if dims != "-" else ()
        for module in _numbered(name):
            raw = module.startswith("=")
            found[module[1:] if raw else f"{module}.weight"] = (dtype, shape)
            if bias:
                found[f"{module}.bias"] = (dtype, shape[:1])
    return found


def _numbered(name: str) -> Iterator[str]:
    counted = COUNT.search(name)
    if counted is None:
        yield name
        return
    for number in range(int(counted[1])):
        yield from _numbered(COUNT.sub(str(number), name, count=1))


def prefixed(prefix: str, keys: Keys) -> Keys:
    return {prefix + name: info for name, info in keys.items()}


def cast(keys: Keys, dtype: str) -> Keys:
    """The same tensors with another element type; whole numbers stay."""
    return {name: (old if old.startswith("I") else dtype, shape) for name, (old, shape) in keys.items()}


def shapes(keys: Keys) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, (_, shape) in keys.items()}


def f16(given: dict[str, tuple[int, ...]]) -> Keys:
    return {name: ("I64" if name.endswith("position_ids") else "F16", shape) for name, shape in given.items()}
