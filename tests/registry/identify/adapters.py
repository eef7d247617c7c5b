"""Adapters of every flavour and spelling for real modules: kohya's, LyCORIS', PEFT's and diffusers' tensor names with true shapes.

Factor names and shapes follow kohya `networks/lora.py` and `oft.py`, LyCORIS `modules/*.py` and PEFT; ranks are small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod

from registry.identify.unetnames import LdmUnet
from tests.registry.identify import unets
from tests.registry.identify.tables import Keys, f16

Modules = dict[str, tuple[int, ...]]
Dims = dict[str, tuple[int, ...]]


def _lora(weight: tuple[int, ...], rank: int) -> Dims:
    out, inp, *kernel = weight
    ones = (1,) * len(kernel)
    return {"lora_down.weight": (rank, inp, *kernel), "lora_up.weight": (out, rank, *ones), "alpha": ()}


def _tucker(weight: tuple[int, ...], rank: int) -> Dims:
    out, inp, *kernel = weight
    if prod(kernel) == 1:
        return _lora(weight, rank)
    mid = {"lora_mid.weight": (rank, rank, *kernel)}
    return {"lora_down.weight": (rank, inp, 1, 1), "lora_up.weight": (out, rank, 1, 1), "alpha": ()} | mid


def _peft(weight: tuple[int, ...], rank: int) -> Dims:
    out, inp, *kernel = weight
    return {"lora_A.weight": (rank, inp, *kernel), "lora_B.weight": (out, rank, *(1,) * len(kernel))}


def _loha(weight: tuple[int, ...], rank: int) -> Dims:
    out, inp, *kernel = weight
    flat = inp * prod(kernel)
    return {"hada_w1_a": (out, rank), "hada_w1_b": (rank, flat), "hada_w2_a": (out, rank), "hada_w2_b": (rank, flat), "alpha": ()}


def _loha_tucker(weight: tuple[int, ...], rank: int) -> Dims:
    out, inp, *kernel = weight
    if prod(kernel) == 1:
        return _loha(weight, rank)
    cores = {"hada_t1": (rank, rank, *kernel), "hada_t2": (rank, rank, *kernel)}
    sides = {"hada_w1_a": (rank, out), "hada_w1_b": (rank, inp), "hada_w2_a": (rank, out), "hada_w2_b": (rank, inp)}
    return {**cores, **sides, "alpha": ()}


def _lokr(weight: tuple[int, ...], rank: int) -> Dims:
    out, inp, *kernel = weight
    return {"lokr_w1": (8, 8), "lokr_w2_a": (out // 8, rank), "lokr_w2_b": (rank, inp // 8 * prod(kernel)), "alpha": ()}


def _lokr_whole(weight: tuple[int, ...], _rank: int) -> Dims:
    out, inp, *kernel = weight
    return {"lokr_w1": (16, 16), "lokr_w2": (out // 16, inp // 16, *kernel), "alpha": ()}


def _dora(weight: tuple[int, ...], rank: int) -> Dims:
    return _lora(weight, rank) | {"dora_scale": (weight[0], *(1,) * (len(weight) - 1))}


def _dora_peft(weight: tuple[int, ...], rank: int) -> Dims:
    return _peft(weight, rank) | {"lora_magnitude_vector": (weight[0],)}


def _oft(weight: tuple[int, ...], _rank: int) -> Dims:
    return {"oft_blocks": (weight[0] // 8, 8, 8), "alpha": ()}


def _boft(weight: tuple[int, ...], _rank: int) -> Dims:
    return {"oft_blocks": (3, weight[0] // 8, 8, 8), "alpha": ()}


def _glora(weight: tuple[int, ...], rank: int) -> Dims:
    out, inp = weight[0], prod(weight[1:])
    return {"a1.weight": (rank, inp), "a2.weight": (inp, rank), "b1.weight": (rank, inp), "b2.weight": (out, rank), "alpha": ()}


def _glora_now(weight: tuple[int, ...], rank: int) -> Dims:
    out, inp, *kernel = weight
    ones = (1,) * len(kernel)
    second = {"b1.weight": (out, rank, *ones), "b2.weight": (rank, inp, *kernel)}
    return {"a1.weight": (inp, rank, *ones), "a2.weight": (rank, inp, *ones), **second, "alpha": ()}


def _ia3(weight: tuple[int, ...], _rank: int) -> Dims:
    return {"weight": (weight[0], 1), "on_input": ()}


def _diff(weight: tuple[int, ...], _rank: int) -> Dims:
    return {"diff": weight, "diff_b": weight[:1]}


def _processor(weight: tuple[int, ...], rank: int) -> Dims:
    return {"lora.down.weight": (rank, weight[1]), "lora.up.weight": (weight[0], rank)}


FLAVOURS: dict[str, Callable[[tuple[int, ...], int], Dims]] = {
    "lora": _lora,
    "tucker": _tucker,
    "peft": _peft,
    "processor": _processor,
    "loha": _loha,
    "loha-tucker": _loha_tucker,
    "lokr": _lokr,
    "lokr-whole": _lokr_whole,
    "dora": _dora,
    "dora-peft": _dora_peft,
    "oft": _oft,
    "boft": _boft,
    "glora": _glora,
    "glora-now": _glora_now,
    "ia3": _ia3,
    "diff": _diff,
}


def adapter(modules: Modules, flavour: str = "lora", rank: int = 8) -> Keys:
    """The tensors of an adapter of these modules (name -> shape of the weight that it changes)."""
    make = FLAVOURS[flavour]
    return f16({f"{module}.{name}": dims for module, weight in modules.items() for name, dims in make(weight, rank).items()})


def unet_modules(shape: unets.Shape, *, spelling: str = "kohya", convolutions: bool = False, only: str = "") -> Modules:
    """Attention and feed-forward layers of a UNet (and its 3x3 convolutions): by kohya's, kohya's ldm or diffusers' names."""
    own = {name.removesuffix(".weight"): dims for name, dims in unets.rows(shape) if name.endswith(".weight") and len(dims) > 1}
    names = LdmUnet(f"{module}.weight" for module in own)
    found: Modules = {}
    for module, dims in own.items():
        if module.startswith(("time_embed", "label_emb", "out.", "input_blocks.0.")) or only not in module:
            continue
        attention = ".transformer_blocks." in module or module.endswith((".proj_in", ".proj_out"))
        if attention or (convolutions and len(dims) == 4):
            other = module if spelling == "ldm" else str(names.diffusers(module))
            found[f"unet.{other}" if spelling == "dotted" else f"lora_unet_{other.replace('.', '_')}"] = dims
    return found


def clip_modules(prefix: str = "lora_te_", width: int = 768, layers: int = 12) -> Modules:
    """The linear layers of a CLIP text encoder."""
    found: Modules = {}
    for number in range(layers):
        block = f"text_model.encoder.layers.{number}"
        names = {f"self_attn.{part}_proj": (width, width) for part in ("q", "k", "v", "out")}
        for name, dims in {**names, "mlp.fc1": (width * 4, width), "mlp.fc2": (width, width * 4)}.items():
            module = f"{block}.{name}"
            found[prefix + (module if prefix.endswith(".") else module.replace(".", "_"))] = dims
    return found


def dotted(lines: Iterable[tuple[str, tuple[int, ...]]], prefix: str) -> Modules:
    """Modules under a prefix; kohya's (that end in an underscore) lose their dots."""
    return {prefix + (name.replace(".", "_") if prefix.endswith("_") else name): dims for name, dims in lines}


def flux_modules(prefix: str = "lora_unet_", width: int = 3072, double: int = 19, single: int = 38, mlp: int = 4, gate: int = 1) -> Modules:
    """Flux's own layers; Flux.2's MLPs are gated (`gate` 2, `mlp` 3)."""
    rows: list[tuple[str, tuple[int, ...]]] = []
    for number in range(double):
        for side in ("img", "txt"):
            rows.append((f"double_blocks.{number}.{side}_attn.qkv", (width * 3, width)))
            rows.append((f"double_blocks.{number}.{side}_attn.proj", (width, width)))
            rows.append((f"double_blocks.{number}.{side}_mlp.0", (width * mlp * gate, width)))
            rows.append((f"double_blocks.{number}.{side}_mlp.2", (width, width * mlp)))
    for number in range(single):
        rows.append((f"single_blocks.{number}.linear1", (width * (3 + mlp * gate), width)))
        rows.append((f"single_blocks.{number}.linear2", (width, width * (1 + mlp))))
    return dotted(rows, prefix)


def flux_diffusers_modules(prefix: str = "transformer.", *, single: bool = True) -> Modules:
    """Flux's layers by diffusers' names."""
    rows: list[tuple[str, tuple[int, ...]]] = []
    for number in range(19):
        block = f"transformer_blocks.{number}"
        rows += [(f"{block}.attn.{part}", (3072, 3072)) for part in ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj")]
        rows += [(f"{block}.ff.net.0.proj", (12288, 3072)), (f"{block}.ff_context.net.0.proj", (12288, 3072))]
    for number in range(38 if single else 0):
        block = f"single_transformer_blocks.{number}"
        rows += [(f"{block}.attn.{part}", (3072, 3072)) for part in ("to_q", "to_k", "to_v")]
        rows += [(f"{block}.proj_mlp", (12288, 3072)), (f"{block}.proj_out", (3072, 15360))]
    return dotted(rows, prefix)


def sd3_modules(prefix: str = "lora_unet_", width: int = 1536, blocks: int = 24) -> Modules:
    """SD 3's own layers."""
    rows: list[tuple[str, tuple[int, ...]]] = []
    for number in range(blocks):
        for side in ("context_block", "x_block"):
            rows.append((f"joint_blocks.{number}.{side}.attn.qkv", (width * 3, width)))
            if side == "x_block" or number < blocks - 1:  # the last block makes no text any more
                rows.append((f"joint_blocks.{number}.{side}.mlp.fc1", (width * 4, width)))
    return dotted(rows, prefix)


def sd3_diffusers_modules(width: int = 1536, blocks: int = 24) -> Modules:
    """SD 3's layers by diffusers' names."""
    rows = [
        (f"transformer_blocks.{number}.attn.{part}", (width, width))
        for number in range(blocks)
        for part in ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj")
    ]
    return dotted(rows, "transformer.")


def blocks_of(prefix: str, count: int, layers: Mapping[str, tuple[int, ...]]) -> Modules:
    """`count` blocks with the same layers; `prefix` has {} for the number, and decides whether dots stay."""
    found: Modules = {}
    for number in range(count):
        for name, dims in layers.items():
            block = prefix.format(number)
            found[block + (name.replace(".", "_") if prefix.startswith("lora_") else name)] = dims
    return found


def wan_modules(width: int = 5120, *, image: bool = False, prefix: str = "diffusion_model.blocks.{}.") -> Modules:
    """Wan's own layers."""
    layers: Modules = {f"{kind}.{part}": (width, width) for kind in ("self_attn", "cross_attn") for part in ("q", "k", "v", "o")}
    layers |= {"ffn.0": (width * 8 // 3, width)} | ({"cross_attn.k_img": (width, width)} if image else {})
    return blocks_of(prefix, 30 if width < 5000 else 40, layers)
