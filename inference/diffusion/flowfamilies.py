"""What an SD 3 or Flux checkpoint is made of, read off names and shapes: transformer, CLIP, T5. Free of torch; it reads no weights.

Layout: Stability AI's and ComfyUI's single files. Constants: the configurations that diffusers publishes for SD 3, SD 3.5 and Flux.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inference.diffusion.t5folder import NEEDS_T5, t5_folder
from inference.diffusion.textconfig import TextEncoderConfig, text_encoders
from registry.formats.errors import FormatError, Unsupported

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

PREFIX = "model.diffusion_model."
SD3, FLUX = "sd3", "flux"
MARKS = {SD3: "joint_blocks.0.context_block.attn.qkv.weight", FLUX: "double_blocks.0.img_attn.qkv.weight"}
ENCODERS = (
    {"prefix": "text_encoders.clip_l.transformer.", "layout": "transformers", "kind": "clip-l"},
    {"prefix": "text_encoders.clip_g.transformer.", "layout": "transformers", "kind": "clip-g"},
)
T5 = "text_encoders.t5xxl.transformer."
HEAD = {SD3: 64, FLUX: 128}
"""Channels of one head."""
MAX_WIDTH, MAX_BLOCKS, MAX_GRID = 16_384, 128, 1024
NATIVE, SMALL_BELOW, SMALL = 1024, 512, 128
"""Pixels of a side; transformers narrower than 512 channels are samples and tests, made for little pictures."""
PATCH, PACKED = 2, 4
"""Both see squares of 2x2 latents as one token: SD 3 by a convolution, Flux finds four latents' channels in its first matrix."""


@dataclass(frozen=True, slots=True)
class FlowParts:
    """`transformer` are arguments of diffusers' class, and `t5` of transformers' T5Config where the encoder lies in the file."""

    family: str
    transformer: dict[str, Any]
    texts: tuple[TextEncoderConfig, ...]
    t5: dict[str, Any] | None
    native_size: int


def flow_family(shapes: Shapes) -> str | None:
    """ "sd3", "flux", or None for all others, whatever lies in the file beside the transformer."""
    return next((family for family, mark in MARKS.items() if PREFIX + mark in shapes or mark in shapes), None)


def flow_parts(family: str, shapes: Shapes, kinds: Mapping[str, Any]) -> FlowParts:
    """The parts of the checkpoint; `kinds` is the table of CLIP encoders in `families.json`.

    Raises FormatError `render:needs-t5` for Flux where no T5 folder is named, `render:no-text-encoder`, `render:layout`,
    `render:parts-differ`, and Unsupported `render:family` for kin that need more than a text.
    """
    if family == FLUX and t5_folder() is None:
        raise Unsupported("render:needs-t5", NEEDS_T5)
    plain = {kind: {**told, "projected": False} for kind, told in kinds.items()}
    texts = tuple(_with_projection(shapes, one) for one in text_encoders(shapes, list(ENCODERS), plain))
    wanted = ("clip-l", "clip-g") if family == SD3 else ("clip-l",)
    if tuple(one.kind for one in texts) != wanted:
        named = "CLIP-L and CLIP-G" if family == SD3 else "CLIP-L"
        raise FormatError(
            "render:no-text-encoder", f"The text encoders {named} are not in the file; upload the checkpoint that includes them."
        )
    own = {name.removeprefix(PREFIX): shape for name, shape in shapes.items() if name.startswith(PREFIX)}
    transformer = (_sd3 if family == SD3 else _flux)(own)
    _check_fit(family, transformer, texts)
    width = transformer["num_attention_heads"] * transformer["attention_head_dim"]
    t5 = t5_config(shapes, T5) if f"{T5}shared.weight" in shapes else None
    return FlowParts(family, transformer, texts, t5, SMALL if width < SMALL_BELOW else NATIVE)


def _with_projection(shapes: Shapes, encoder: TextEncoderConfig) -> TextEncoderConfig:
    """CLIP-G's pooled text is projected; CLIP-L's is taken as it is, although some files hold a projection for it."""
    if encoder.kind != "clip-g":
        return encoder
    return replace(encoder, projection=_dimension(shapes, projection_name(encoder), 0))


def projection_name(encoder: TextEncoderConfig) -> str:
    """transformers keeps it beside the text model, not in it."""
    return f"{encoder.prefix.removesuffix('text_model.')}text_projection.weight"


def _sd3(own: Shapes) -> dict[str, Any]:
    width, channels, patch = (_dimension(own, "x_embedder.proj.weight", axis) for axis in range(3))
    grid = math.isqrt(own.get("pos_embed", (0, 0))[1]) if len(own.get("pos_embed", ())) == 3 else 0
    if patch != PATCH:
        raise _strange(f"it sees squares of {patch} latents a side, and {PATCH} are known")
    if not 0 < grid <= MAX_GRID or own["pos_embed"] != (1, grid * grid, width):
        raise _strange("pos_embed is missing or is no square of places")
    if _dimension(own, "context_embedder.weight", 0) != width or _dimension(own, "final_layer.linear.weight", 0) != patch**2 * channels:
        raise _strange("its parts have different widths")
    blocks = _blocks(own, "joint_blocks")
    return {
        "sample_size": grid, "patch_size": patch, "in_channels": channels, "out_channels": channels, "num_layers": blocks,
        "attention_head_dim": HEAD[SD3], "num_attention_heads": _heads(width, HEAD[SD3]), "caption_projection_dim": width,
        "joint_attention_dim": _dimension(own, "context_embedder.weight", 1),
        "pooled_projection_dim": _dimension(own, "y_embedder.mlp.0.weight", 1), "pos_embed_max_size": grid,
        "dual_attention_layers": tuple(at for at in range(blocks) if f"joint_blocks.{at}.x_block.attn2.qkv.weight" in own),
        "qk_norm": "rms_norm" if "joint_blocks.0.x_block.attn.ln_q.weight" in own else None,
    }  # fmt: skip


def _flux(own: Shapes) -> dict[str, Any]:
    width, packed = (_dimension(own, "img_in.weight", axis) for axis in range(2))
    if any(name.startswith("distilled_guidance_layer.") for name in own):
        raise Unsupported("render:family", "This model is not rendered here: it is kin of Flux with a guidance of its own (Chroma).")
    if _dimension(own, "final_layer.linear.weight", 0) != packed:
        raise Unsupported("render:family", "This kin of Flux needs more than a text (a picture, a depth map), so it is not rendered here.")
    if packed % PACKED or _dimension(own, "txt_in.weight", 0) != width:
        raise _strange("its parts have different widths")
    return {
        "patch_size": 1, "in_channels": packed, "out_channels": packed,
        "num_layers": _blocks(own, "double_blocks"), "num_single_layers": _blocks(own, "single_blocks"),
        "attention_head_dim": HEAD[FLUX], "num_attention_heads": _heads(width, HEAD[FLUX]),
        "joint_attention_dim": _dimension(own, "txt_in.weight", 1),
        "pooled_projection_dim": _dimension(own, "vector_in.in_layer.weight", 1),
        "guidance_embeds": "guidance_in.in_layer.weight" in own, "axes_dims_rope": (16, 56, 56),
    }  # fmt: skip


def _check_fit(family: str, transformer: Mapping[str, Any], texts: tuple[TextEncoderConfig, ...]) -> None:
    """Pooled texts of all encoders side by side are what the transformer takes; their tokens are no wider than T5's."""
    pooled, wide = sum(one.projection or one.width for one in texts), sum(one.width for one in texts)
    if pooled != transformer["pooled_projection_dim"] or (family == SD3 and wide > transformer["joint_attention_dim"]):
        raise FormatError(
            "render:parts-differ", "The text encoders and the transformer do not fit each other: they do not belong together."
        )


def t5_config(shapes: Shapes, prefix: str) -> dict[str, Any]:
    """Arguments of transformers' `T5Config` for the encoder under `prefix`. Raises FormatError `render:layout`."""
    own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    block = "encoder.block.0.layer."
    vocabulary, width = (_dimension(own, "shared.weight", axis, 1 << 20) for axis in range(2))
    buckets, heads = (_dimension(own, f"{block}0.SelfAttention.relative_attention_bias.weight", axis) for axis in range(2))
    inner = _dimension(own, f"{block}0.SelfAttention.q.weight", 0)
    if inner % heads:
        raise _strange("T5's heads do not divide its width")
    return {
        "vocab_size": vocabulary, "d_model": width, "d_kv": inner // heads, "num_heads": heads,
        "d_ff": _dimension(own, f"{block}1.DenseReluDense.wi_0.weight", 0, 1 << 17), "num_layers": _blocks(own, "encoder.block"),
        "relative_attention_num_buckets": buckets, "feed_forward_proj": "gated-gelu", "dropout_rate": 0.0,
    }  # fmt: skip


def _blocks(own: Shapes, name: str) -> int:
    """How many blocks of this name there are, numbered from 0 without a gap."""
    pattern = re.compile(rf"{re.escape(name)}\.(\d{{1,3}})\.")
    numbers = {int(found[1]) for one in own if (found := pattern.match(one))}
    if not 0 < len(numbers) <= MAX_BLOCKS or max(numbers) + 1 != len(numbers):
        raise _strange(f"{name} has {len(numbers)} blocks whose numbers do not follow each other, or too many")
    return len(numbers)


def _heads(width: int, head: int) -> int:
    if width % head:
        raise _strange(f"a width of {width} does not divide into heads of {head}")
    return width // head


def _dimension(own: Shapes, name: str, axis: int, most: int = MAX_WIDTH) -> int:
    shape = own.get(name, ())
    if axis >= len(shape) or not 0 < shape[axis] <= most:
        raise _strange(f"{name} is missing or has no such shape")
    return shape[axis]


def _strange(what: str) -> FormatError:
    return FormatError("render:layout", f"The model is not laid out as SD 3 or Flux: {what}.")
