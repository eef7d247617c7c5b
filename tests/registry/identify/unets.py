"""True UNets of the Stable Diffusion line in ldm's names, for any widths and depths, and their text encoders and autoencoder.

The order of blocks is that of CompVis ldm's `openaimodel.py`; counts were checked against the published files' (SD 1.5 686, SD 2 686,
SDXL 1680 tensors). `diffusers` spells the same UNet as diffusers does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from registry.identify.unetnames import LdmUnet
from samples.layout import STANDARD, Widths, clip, vae
from tests.registry.identify.tables import Keys, f16

Row = tuple[str, tuple[int, ...]]
U = "model.diffusion_model."


@dataclass(frozen=True)
class Shape:
    """Channels by level; transformers by residual block going down and coming up, and in the middle (None: no attention there)."""

    widths: tuple[int, ...]
    down: tuple[int, ...]
    up: tuple[int, ...]
    middle: int | None
    context: int
    linear: bool = True
    channels: int = 4
    labels: int = 0
    blocks: int = 2
    out: int = 4


SD1 = Shape((320, 640, 1280, 1280), (1, 1, 1, 1, 1, 1, 0, 0), (0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1), 1, 768, linear=False)
SD2 = Shape(SD1.widths, SD1.down, SD1.up, 1, 1024)
SDXL = Shape((320, 640, 1280), (0, 0, 2, 2, 10, 10), (10, 10, 10, 2, 2, 2, 0, 0, 0), 10, 2048, labels=2816)
REFINER = Shape((384, 768, 1536, 1536), (0, 0, 4, 4, 4, 4, 0, 0), (0, 0, 0, 4, 4, 4, 4, 4, 4, 0, 0, 0), 4, 1280, labels=2560)
SSD_1B = Shape(SDXL.widths, (0, 0, 2, 2, 4, 4), (4, 4, 10, 2, 1, 1, 0, 0, 0), None, 2048, labels=2816)
VEGA = Shape(SDXL.widths, (0, 0, 1, 1, 2, 2), (2, 2, 2, 1, 1, 1, 0, 0, 0), None, 2048, labels=2816)
KOALA_700M = Shape(SDXL.widths, (0, 2, 5), (5, 5, 2, 2, 0, 0), None, 2048, labels=2816, blocks=1)
KOALA_1B = Shape(SDXL.widths, (0, 2, 6), (6, 6, 2, 2, 0, 0), 6, 2048, labels=2816, blocks=1)
X4 = Shape((256, 512, 512, 1024), (0, 0, 1, 1, 1, 1, 1, 1), (1,) * 9 + (0, 0, 0), 1, 1024, channels=7)
TINY_XL = Shape((8, 16, 24), SDXL.down, SDXL.up, 10, 32, labels=44)


def _affine(name: str, *weight: int) -> Iterator[Row]:
    yield f"{name}.weight", weight
    yield f"{name}.bias", weight[:1]


def _res(name: str, inp: int, out: int, emb: int) -> Iterator[Row]:
    yield from _affine(f"{name}.in_layers.0", inp)
    yield from _affine(f"{name}.in_layers.2", out, inp, 3, 3)
    yield from _affine(f"{name}.emb_layers.1", out, emb)
    yield from _affine(f"{name}.out_layers.0", out)
    yield from _affine(f"{name}.out_layers.3", out, out, 3, 3)
    if inp != out:
        yield from _affine(f"{name}.skip_connection", out, inp, 1, 1)


def _transformer(name: str, width: int, count: int, shape: Shape) -> Iterator[Row]:
    if not count:
        return
    project = (width, width) if shape.linear else (width, width, 1, 1)
    yield from _affine(f"{name}.norm", width)
    yield from _affine(f"{name}.proj_in", *project)
    for number in range(count):
        block = f"{name}.transformer_blocks.{number}"
        for attention, context in (("attn1", width), ("attn2", shape.context)):
            yield f"{block}.{attention}.to_q.weight", (width, width)
            yield f"{block}.{attention}.to_k.weight", (width, context)
            yield f"{block}.{attention}.to_v.weight", (width, context)
            yield from _affine(f"{block}.{attention}.to_out.0", width, width)
        yield from _affine(f"{block}.ff.net.0.proj", width * 8, width)
        yield from _affine(f"{block}.ff.net.2", width, width * 4)
        for norm in ("norm1", "norm2", "norm3"):
            yield from _affine(f"{block}.{norm}", width)
    yield from _affine(f"{name}.proj_out", *project)


def rows(shape: Shape) -> Iterator[Row]:
    """Every parameter of the UNet, without prefix."""
    base, emb = shape.widths[0], shape.widths[0] * 4
    yield from _affine("time_embed.0", emb, base)
    yield from _affine("time_embed.2", emb, emb)
    if shape.labels:
        yield from _affine("label_emb.0.0", emb, shape.labels)
        yield from _affine("label_emb.0.2", emb, emb)
    yield from _affine("input_blocks.0.0", base, shape.channels, 3, 3)
    skips, width = [base], base
    for level, out in enumerate(shape.widths):
        for number in range(shape.blocks):
            at = f"input_blocks.{len(skips)}"
            yield from _res(f"{at}.0", width, out, emb)
            yield from _transformer(f"{at}.1", out, shape.down[level * shape.blocks + number], shape)
            width = out
            skips.append(out)
        if level < len(shape.widths) - 1:
            yield from _affine(f"input_blocks.{len(skips)}.0.op", out, out, 3, 3)
            skips.append(out)
    yield from _res("middle_block.0", width, width, emb)
    if shape.middle is not None:
        yield from _transformer("middle_block.1", width, shape.middle, shape)
        yield from _res("middle_block.2", width, width, emb)
    yield from _climb(shape, skips, width)
    yield from _affine("out.0", base)
    yield from _affine("out.2", shape.out, base, 3, 3)


def _climb(shape: Shape, skips: list[int], width: int) -> Iterator[Row]:
    number, each = 0, shape.blocks + 1
    for level in reversed(range(len(shape.widths))):
        out = shape.widths[level]
        for index in range(each):
            at = f"output_blocks.{number}"
            yield from _res(f"{at}.0", width + skips.pop(), out, shape.widths[0] * 4)
            yield from _transformer(f"{at}.1", out, shape.up[number], shape)
            width = out
            if level and index == each - 1:
                yield from _affine(f"{at}.{2 if shape.up[number] else 1}.conv", out, out, 3, 3)
            number += 1


def unet(shape: Shape, prefix: str = U, **changes: int) -> Keys:
    """A whole UNet as it lies in a single file; `changes` replace fields of `shape` (channels=9 is an inpainting model)."""
    given = Shape(**{**{name: getattr(shape, name) for name in Shape.__dataclass_fields__}, **changes})
    return {prefix + name: ("F16", dims) for name, dims in rows(given)}


def diffusers(keys: Keys, prefix: str = U, to: str = "") -> Keys:
    """The same UNet with diffusers' names, as `diffusion_pytorch_model.safetensors` has them."""
    own = {name.removeprefix(prefix): info for name, info in keys.items()}
    names = LdmUnet(own)
    return {f"{to}{names.diffusers(name.rpartition('.')[0])}.{name.rpartition('.')[2]}": info for name, info in own.items()}


def control(shape: Shape, prefix: str = "control_model.") -> Keys:
    """The ControlNet of a UNet in ldm's names: its way down, zero convolutions and the reader of the hint."""
    kept = ("time_embed.", "input_blocks.", "middle_block.", "label_emb.")
    own = {name: dims for name, dims in rows(shape) if name.startswith(kept)}
    zeros = [
        shape.widths[0],
        *(dims[0] for name, dims in own.items() if name.endswith((".0.out_layers.3.weight", ".0.op.weight")) and "input" in name),
    ]
    extra = {f"zero_convs.{number}.0.weight": (width, width, 1, 1) for number, width in enumerate(zeros)}
    extra |= {"input_hint_block.0.weight": (16, 3, 3, 3), "middle_block_out.0.weight": (shape.widths[-1], shape.widths[-1], 1, 1)}
    return {prefix + name: ("F16", dims) for name, dims in {**own, **extra}.items()}


def open_clip(prefix: str, width: int, layers: int) -> Keys:
    """OpenCLIP's text encoder, as SD 2 (ViT-H) and SDXL (ViT-bigG) hold it."""
    found: dict[str, tuple[int, ...]] = {
        "positional_embedding": (77, width),
        "text_projection": (width, width),
        "token_embedding.weight": (49408, width),
        "ln_final.weight": (width,),
        "ln_final.bias": (width,),
    }
    for number in range(layers):
        block = f"transformer.resblocks.{number}"
        found |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        for name, dims in (("attn.out_proj", (width, width)), ("mlp.c_fc", (4 * width, width)), ("mlp.c_proj", (width, 4 * width))):
            found |= {f"{block}.{name}.weight": dims, f"{block}.{name}.bias": dims[:1]}
        found |= {f"{block}.{norm}.{end}": (width,) for norm in ("ln_1", "ln_2") for end in ("weight", "bias")}
    return f16({prefix + name: dims for name, dims in found.items()})


def clip_l(prefix: str, width: int = 768, layers: int = 12) -> Keys:
    """The CLIP text encoder in transformers' names."""
    return f16(dict(clip(prefix, Widths(unet=STANDARD.unet, vae=STANDARD.vae, clip=width, clip_layers=layers))))


def autoencoder(prefix: str = "first_stage_model.", latents: int = 4) -> Keys:
    """The kl-f8 autoencoder; SD 3 and Flux have 16 latent channels and no quantising convolutions."""
    found = f16(dict(vae(prefix, STANDARD)))
    if latents != 4:
        found = {name: info for name, info in found.items() if "quant_conv" not in name}
        found |= f16(
            {f"{prefix}decoder.conv_in.weight": (512, latents, 3, 3), f"{prefix}encoder.conv_out.weight": (latents * 2, 512, 3, 3)}
        )
    return found
