"""Other libraries' names for the layers of text encoders and transformers, each with the rows of a fused weight that it means.

Tables of pattern and answer; UNets, whose blocks are counted differently, are mapped in `unetnames`. Sources: OpenCLIP
`transformer.py` and transformers `modeling_clip.py`; diffusers' conversion scripts for Flux, SD 3, PixArt and AuraFlow.
"""

from __future__ import annotations

Piece = tuple[str, int, int]
"""(another name, which part, of how many equal parts of the rows); ("x", 0, 1) is the whole weight."""

OPEN_CLIP: dict[str, tuple[Piece, ...]] = {
    "attn.in_proj": (("self_attn.q_proj", 0, 3), ("self_attn.k_proj", 1, 3), ("self_attn.v_proj", 2, 3)),
    "attn.out_proj": (("self_attn.out_proj", 0, 1),),
    "mlp.c_fc": (("mlp.fc1", 0, 1),),
    "mlp.c_proj": (("mlp.fc2", 0, 1),),
    "ln_1": (("layer_norm1", 0, 1),),
    "ln_2": (("layer_norm2", 0, 1),),
}
"""Modules of an OpenCLIP block -> transformers' names of the same rows."""


def _thirds(*names: str) -> tuple[Piece, ...]:
    return tuple((name, part, len(names)) for part, name in enumerate(names))


def _whole(name: str) -> tuple[Piece, ...]:
    return ((name, 0, 1),)


FLUX_DOUBLE: dict[str, tuple[Piece, ...]] = {
    "img_attn.qkv": _thirds("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": _thirds("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": _whole("attn.to_out.0"),
    "txt_attn.proj": _whole("attn.to_add_out"),
    "img_mod.lin": _whole("norm1.linear"),
    "txt_mod.lin": _whole("norm1_context.linear"),
    "img_mlp.0": _whole("ff.net.0.proj"),
    "img_mlp.2": _whole("ff.net.2"),
    "txt_mlp.0": _whole("ff_context.net.0.proj"),
    "txt_mlp.2": _whole("ff_context.net.2"),
}
FLUX_SINGLE: dict[str, tuple[Piece, ...]] = {
    "linear1": (("attn.to_q", 0, 7), ("attn.to_k", 1, 7), ("attn.to_v", 2, 7), ("proj_mlp", 3, 7)),
    "linear2": _whole("proj_out"),
    "modulation.lin": _whole("norm.linear"),
}
"""`linear1` is q, k, v and the first layer of an MLP four times as wide, so its rows are seven equal parts; `proj_mlp` takes four."""

SD3_JOINT: dict[str, tuple[Piece, ...]] = {
    "x_block.attn.qkv": _thirds("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block.attn.qkv": _thirds("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "x_block.attn2.qkv": _thirds("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "x_block.attn.proj": _whole("attn.to_out.0"),
    "context_block.attn.proj": _whole("attn.to_add_out"),
    "x_block.attn2.proj": _whole("attn2.to_out.0"),
    "x_block.adaLN_modulation.1": _whole("norm1.linear"),
    "context_block.adaLN_modulation.1": _whole("norm1_context.linear"),
    "x_block.mlp.fc1": _whole("ff.net.0.proj"),
    "x_block.mlp.fc2": _whole("ff.net.2"),
    "context_block.mlp.fc1": _whole("ff_context.net.0.proj"),
    "context_block.mlp.fc2": _whole("ff_context.net.2"),
}
PIXART: dict[str, tuple[Piece, ...]] = {
    "attn.qkv": _thirds("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    "attn.proj": _whole("attn1.to_out.0"),
    "cross_attn.q_linear": _whole("attn2.to_q"),
    "cross_attn.kv_linear": _thirds("attn2.to_k", "attn2.to_v"),
    "cross_attn.proj": _whole("attn2.to_out.0"),
    "mlp.fc1": _whole("ff.net.0.proj"),
    "mlp.fc2": _whole("ff.net.2"),
}
AURA_DOUBLE: dict[str, tuple[Piece, ...]] = {
    "attn.w2q": _whole("attn.to_q"),
    "attn.w2k": _whole("attn.to_k"),
    "attn.w2v": _whole("attn.to_v"),
    "attn.w2o": _whole("attn.to_out.0"),
    "attn.w1q": _whole("attn.add_q_proj"),
    "attn.w1k": _whole("attn.add_k_proj"),
    "attn.w1v": _whole("attn.add_v_proj"),
    "attn.w1o": _whole("attn.to_add_out"),
    "mlpX.c_fc1": _whole("ff.linear_1"),
    "mlpX.c_fc2": _whole("ff.linear_2"),
    "mlpX.c_proj": _whole("ff.out_projection"),
    "mlpC.c_fc1": _whole("ff_context.linear_1"),
    "mlpC.c_fc2": _whole("ff_context.linear_2"),
    "mlpC.c_proj": _whole("ff_context.out_projection"),
    "modX.1": _whole("norm1.linear"),
    "modC.1": _whole("norm1_context.linear"),
}
AURA_SINGLE: dict[str, tuple[Piece, ...]] = {
    "attn.w1q": _whole("attn.to_q"),
    "attn.w1k": _whole("attn.to_k"),
    "attn.w1v": _whole("attn.to_v"),
    "attn.w1o": _whole("attn.to_out.0"),
    "modCX.1": _whole("norm1.linear"),
    "mlp.c_fc1": _whole("ff.linear_1"),
    "mlp.c_fc2": _whole("ff.linear_2"),
    "mlp.c_proj": _whole("ff.out_projection"),
}

BLOCKS: dict[str, tuple[str, dict[str, tuple[Piece, ...]]]] = {
    "double_blocks": ("transformer_blocks", FLUX_DOUBLE),
    "single_blocks": ("single_transformer_blocks", FLUX_SINGLE),
    "joint_blocks": ("transformer_blocks", SD3_JOINT),
    "blocks": ("transformer_blocks", PIXART),
    "double_layers": ("joint_transformer_blocks", AURA_DOUBLE),
    "single_layers": ("single_transformer_blocks", AURA_SINGLE),
}
"""First part of a transformer's own names -> what diffusers calls the list of blocks, and the modules in them."""


def diffusers_pieces(module: str) -> tuple[Piece, ...]:
    """What diffusers calls a transformer's module ("double_blocks.3.img_attn.qkv"), piece by piece; () where the tables know nothing."""
    head, _, rest = module.partition(".")
    number, _, inner = rest.partition(".")
    if head not in BLOCKS or not number.isdigit():
        return ()
    block, table = BLOCKS[head]
    return tuple((f"{block}.{number}.{name}", part, parts) for name, part, parts in table.get(inner, ()))


def clip_pieces(module: str) -> tuple[Piece, ...]:
    """What transformers calls an OpenCLIP module ("resblocks.3.attn.in_proj"), piece by piece; () where it is none."""
    head, _, rest = module.partition(".")
    number, _, inner = rest.partition(".")
    if head != "resblocks" or not number.isdigit():
        return ()
    return tuple((f"text_model.encoder.layers.{number}.{name}", part, parts) for name, part, parts in OPEN_CLIP.get(inner, ()))
