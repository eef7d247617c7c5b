"""The endings that trainers give the parts of an adapter (LoRA and its relatives), each with the role that it plays. Names only.

Sources: kohya `networks/lora.py` and `oft.py`, LyCORIS `modules/*.py`, PEFT `tuners/*`, diffusers' attention processors,
ComfyUI `weight_adapter/`.
"""

from __future__ import annotations

from collections.abc import Collection

ROLES: dict[str, str] = {
    "lora_down.weight": "down", "lora_up.weight": "up", "lora_mid.weight": "mid",
    "lora_A.weight": "down", "lora_B.weight": "up", "lora_A": "down", "lora_B": "up",
    "lora_A.default.weight": "down", "lora_B.default.weight": "up",
    "lora.down.weight": "down", "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down", "lora_linear_layer.up.weight": "up",
    "to_q_lora.down.weight": "down", "to_q_lora.up.weight": "up", "to_k_lora.down.weight": "down", "to_k_lora.up.weight": "up",
    "to_v_lora.down.weight": "down", "to_v_lora.up.weight": "up", "to_out_lora.down.weight": "down", "to_out_lora.up.weight": "up",
    "lora_embedding_A": "down", "lora_embedding_B": "up",
    "alpha": "alpha", "lora_alpha": "alpha", "scale": "scale",
    "dora_scale": "dora", "lora_magnitude_vector": "dora", "lora_magnitude_vector.weight": "dora",
    "lora_magnitude_vector.default.weight": "dora",
    "hada_w1_a": "hada_w1_a", "hada_w1_b": "hada_w1_b", "hada_w2_a": "hada_w2_a", "hada_w2_b": "hada_w2_b",
    "hada_t1": "hada_t1", "hada_t2": "hada_t2",
    "lokr_w1": "lokr_w1", "lokr_w1_a": "lokr_w1_a", "lokr_w1_b": "lokr_w1_b",
    "lokr_w2": "lokr_w2", "lokr_w2_a": "lokr_w2_a", "lokr_w2_b": "lokr_w2_b", "lokr_t2": "lokr_t2",
    "oft_blocks": "oft_blocks", "oft_diag": "oft_blocks", "oft_R.weight": "oft_blocks", "rescale": "rescale",
    "a1.weight": "a1", "a2.weight": "a2", "b1.weight": "b1", "b2.weight": "b2", "bm.weight": "bm",
    "on_input": "on_input", "diff": "diff", "diff_b": "diff_b", "set_weight": "set_weight", "w_norm": "w_norm", "b_norm": "b_norm",
}  # fmt: skip
"""Ending of a tensor's name (behind the module and a dot) -> role. IA3's own `.weight` is recognised by the `on_input` beside it."""

OWNED = {"to_q_lora": "to_q", "to_k_lora": "to_k", "to_v_lora": "to_v", "to_out_lora": "to_out.0"}
"""Endings of diffusers' old attention processors that hold the module's own name as well."""


_LAST = frozenset(ending.rpartition(".")[2] for ending in ROLES)
_BEFORE_WEIGHT = frozenset(ending.rsplit(".", 2)[-2] for ending in ROLES if ending.endswith(".weight"))


def split(name: str) -> tuple[str, str] | None:
    """(module, role) of an adapter's tensor: "lora_unet_x.lora_down.weight" is ("lora_unet_x", "down"); None for other tensors."""
    head, _, last = name.rpartition(".")
    if last not in _LAST or (last == "weight" and head[head.rfind(".") + 1 :] not in _BEFORE_WEIGHT):
        return None
    parts = name.rsplit(".", 3)
    for count in range(1, len(parts)):
        ending = ".".join(parts[-count:])
        role = ROLES.get(ending)
        if role is None:
            continue
        module = name[: -len(ending) - 1]
        owned = OWNED.get(parts[-count])
        if owned is not None:
            module = f"{module.removesuffix('.processor')}.{owned}"
        return (module, role) if module else None
    return None


def adapters(names: Collection[str]) -> dict[str, dict[str, str]]:
    """The modules that a file adapts: module -> role -> the tensor's name in the file. Tensors that are no adapter's are left out.

    An IA3 module's factor is under the role "ia3". A second tensor for one role of one module is left out, too.
    """
    found: dict[str, dict[str, str]] = {}
    known = set(names)
    for name in names:
        parts = split(name)
        if parts is not None:
            found.setdefault(parts[0], {}).setdefault(parts[1], name)
            if parts[1] == "on_input" and f"{parts[0]}.weight" in known:
                found[parts[0]]["ia3"] = f"{parts[0]}.weight"
    return found
