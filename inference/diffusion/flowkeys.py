"""Where each parameter of SD 3's and Flux' transformers and of T5 lies in a single file. Free of torch; other models' names are in `keys`.

Names in memory are diffusers' and transformers', in files Stability AI's `mmditx.py` and Black Forest Labs' `flux/model.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from inference.diffusion.flowfamilies import projection_name
from inference.diffusion.keys import Source, Sources, text_sources
from inference.diffusion.textconfig import TextEncoderConfig

_QKV = {"q": 0, "k": 1, "v": 2}
SD3_OUTSIDE = {
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
SD3_BLOCK = {
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "attn2.to_out.0": "x_block.attn2.proj",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
    **{f"attn.to_{one}": "x_block.attn.qkv" for one in _QKV},
    **{f"attn2.to_{one}": "x_block.attn2.qkv" for one in _QKV},
    **{f"attn.add_{one}_proj": "context_block.attn.qkv" for one in _QKV},
}
FLUX_OUTSIDE = {
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "context_embedder": "txt_in",
    "x_embedder": "img_in",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
FLUX_DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
    **{f"attn.to_{one}": "img_attn.qkv" for one in _QKV},
    **{f"attn.add_{one}_proj": "txt_attn.qkv" for one in _QKV},
}
FLUX_SINGLE = {
    "norm.linear": "modulation.lin",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
    "proj_out": "linear2",
    "proj_mlp": "linear1",
    **{f"attn.to_{one}": "linear1" for one in _QKV},
}
MLP_RATIO = 4
"""Inside of a block of Flux, as many times the width."""


def sd3_sources(parameters: Iterable[str], prefix: str, layers: int) -> Sources:
    """For diffusers' `SD3Transformer2DModel`. The last block reads the text once more but changes it no longer: its norm is of the kind of
    `norm_out`, whose halves (shift and scale) diffusers keep in the other order."""
    found: Sources = {}
    for name in parameters:
        module, _, end = name.rpartition(".")
        if name == "pos_embed.pos_embed":
            found[name] = Source(f"{prefix}pos_embed")
        elif module in SD3_OUTSIDE:
            found[name] = Source(f"{prefix}{SD3_OUTSIDE[module]}.{end}", swapped=module == "norm_out.linear")
        else:
            _, number, inner = module.split(".", 2)
            swapped = inner == "norm1_context.linear" and int(number) == layers - 1
            stored = f"{prefix}joint_blocks.{number}.{SD3_BLOCK[inner]}.{end}"
            found[name] = Source(stored, third=_third(inner), swapped=swapped)
    return found


def flux_sources(parameters: Iterable[str], prefix: str, width: int) -> Sources:
    """For diffusers' `FluxTransformer2DModel`; `width` is that of a token inside of it."""
    found: Sources = {}
    for name in parameters:
        module, _, end = name.rpartition(".")
        if module in FLUX_OUTSIDE:
            found[name] = Source(f"{prefix}{FLUX_OUTSIDE[module]}.{end}", swapped=module == "norm_out.linear")
            continue
        kind, number, inner = module.split(".", 2)
        end = "scale" if ".norm_" in module else end
        if kind == "transformer_blocks":
            found[name] = Source(f"{prefix}double_blocks.{number}.{FLUX_DOUBLE[inner]}.{end}", third=_third(inner))
        else:
            found[name] = Source(f"{prefix}single_blocks.{number}.{FLUX_SINGLE[inner]}.{end}", rows=_rows(inner, width))
    return found


def _third(inner: str) -> int | None:
    """Queries, keys and values lie in one matrix: `to_q`, `add_k_proj`."""
    last = inner.rpartition(".")[2]
    letter = last.removeprefix("to_").removeprefix("add_").removesuffix("_proj")
    return _QKV.get(letter)


def _rows(inner: str, width: int) -> tuple[int, int] | None:
    """A single block's first matrix holds queries, keys, values and what goes through the MLP."""
    if inner == "proj_mlp":
        return 3 * width, (3 + MLP_RATIO) * width
    third = _third(inner)
    return None if third is None else (third * width, (third + 1) * width)


def clip_sources(parameters: Iterable[str], encoder: TextEncoderConfig) -> Sources:
    """For transformers' CLIP, whose projection lies beside the text model in these files."""
    found = text_sources(parameters, encoder)
    return found | {name: Source(projection_name(encoder)) for name in found if name == "text_projection.weight"}


def t5_sources(parameters: Iterable[str], prefix: str) -> Sources:
    """For transformers' `T5EncoderModel`: the same names, and one table of tokens under two of them."""
    return {name: Source(prefix + ("shared.weight" if name == "encoder.embed_tokens.weight" else name)) for name in parameters}
