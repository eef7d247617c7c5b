"""The weight that an adapter's factors make, told from their shapes: so that it can be held against a layer. No numbers are multiplied.

Shapes follow kohya `networks/lora.py` and LyCORIS `functional/*.py` (LoHa, LoKr, Tucker forms, OFT, GLoRA).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

Shape = tuple[int, ...]
Roles = Mapping[str, Shape]

FACTORS: frozenset[str] = frozenset(
    {"down", "up", "hada_w1_a", "lokr_w1", "lokr_w1_a", "oft_blocks", "a1", "b1", "diff", "diff_b", "set_weight", "w_norm", "b_norm", "ia3"}
)
"""Roles of which a module needs one to be an adapter at all; a lone `alpha` is somebody else's parameter."""


def extent(roles: Roles) -> Shape | None:
    """Shape of the whole weight that the factors make: (out, in) or (out, in, height, width); 0 where they do not say.

    None where the factors are incomplete or cannot belong together.
    """
    if "down" in roles or "up" in roles:
        return _lora(roles)
    if "hada_w1_a" in roles:
        return _loha(roles)
    if "lokr_w1" in roles or "lokr_w1_a" in roles:
        return _lokr(roles)
    if "oft_blocks" in roles:
        blocks = roles["oft_blocks"]
        return (blocks[-3] * blocks[-2], 0) if len(blocks) in (3, 4) else None
    if "b1" in roles:
        return _glora(roles)
    return roles.get("diff") or roles.get("set_weight") or roles.get("w_norm") or ((0, 0) if "ia3" in roles or "diff_b" in roles else None)


def _lora(roles: Roles) -> Shape | None:
    up, down, mid = roles.get("up", ()), roles.get("down", ()), roles.get("mid", ())
    if len(up) < 2 or len(down) < 2 or up[1] != down[0]:
        return None
    return (up[0], down[1], *(mid[2:] if mid else down[2:]))


def _loha(roles: Roles) -> Shape | None:
    first, second, tucker = roles.get("hada_w1_a", ()), roles.get("hada_w1_b", ()), roles.get("hada_t1", ())
    if len(first) != 2 or len(second) != 2:
        return None
    return (first[1], second[1], *tucker[2:]) if tucker else (first[0], second[1])


def _lokr(roles: Roles) -> Shape | None:
    """Kronecker product of two matrices, each whole or a product of two: sizes multiply."""
    first = _side(roles, "lokr_w1", ())
    second = _side(roles, "lokr_w2", roles.get("lokr_t2", ()))
    if len(first) < 2 or len(second) < 2:
        return None
    return (first[0] * second[0], first[1] * second[1], *second[2:])


def _side(roles: Roles, name: str, tucker: Shape) -> Shape:
    whole, left, right = roles.get(name, ()), roles.get(f"{name}_a", ()), roles.get(f"{name}_b", ())
    if whole or len(left) != 2 or len(right) < 2:
        return whole
    return (left[1], right[1], *tucker[2:]) if tucker else (left[0], *right[1:])


def _glora(roles: Roles) -> Shape | None:
    """LyCORIS writes b1 [out, rank], b2 [rank, in]; its first versions b1 [rank, in], b2 [out, rank]. The smaller number is the rank."""
    first, second = roles.get("b1", ()), roles.get("b2", ())
    if len(first) < 2 or len(second) < 2:
        return None
    now = (first[0], second[1], *(roles.get("bm") or second)[2:]) if first[1] == second[0] else ()
    once = (second[0], first[1], *first[2:]) if second[1] == first[0] else ()
    return max(now, once, key=prod) if now and once else now or once or None


def rank(roles: Roles) -> int | None:
    """The rank that the factors share (LoKr: of the decomposed half; OFT: the number of blocks), or None where there is none."""
    if roles.get("down"):
        return roles["down"][0]
    for name in ("hada_w1_b", "lokr_w2_b", "lokr_w1_b"):
        if roles.get(name):
            return roles[name][0]
    blocks = roles.get("oft_blocks", ())
    return blocks[-3] if len(blocks) >= 3 else None


def fits_shape(made: Shape, weight: Shape) -> bool:
    """Whether a weight of shape `made` can be added to one of shape `weight`: 1x1 convolutions are linear layers, 0 fits all."""
    if not made or not weight:
        return False
    inputs, wanted = prod(made[1:]), prod(weight[1:])
    kernels = len(made) == 4 and len(weight) == 4 and made[2:] != (1, 1) and made[2:] != weight[2:]
    return made[0] in (0, weight[0]) and inputs in (0, wanted) and not kernels
