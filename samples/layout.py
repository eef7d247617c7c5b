"""The single-file key layout of Stable Diffusion 1.x as data: every tensor name with its shape, for any widths.

It holds no weights and follows no implementation; names are those that CompVis' ldm gave its modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Shape = tuple[int, ...]
Row = tuple[str, Shape]


@dataclass(frozen=True)
class Widths:
    """Channels of the four UNet and VAE levels, width of the text encoder (which is the UNet's context), its depth and vocabulary."""

    unet: tuple[int, int, int, int]
    vae: tuple[int, int, int, int]
    clip: int
    clip_layers: int = 12
    vocabulary: int = 49408
    latent_in: int = 4


STANDARD = Widths(unet=(320, 640, 1280, 1280), vae=(128, 256, 512, 512), clip=768)
"""Stable Diffusion 1.5 as published: 686 UNet, 248 VAE and 197 text encoder tensors."""

TINY = Widths(unet=(8, 16, 24, 24), vae=(4, 8, 16, 16), clip=16, vocabulary=512)
"""Same names, same number of dimensions, about half a million numbers instead of a thousand million."""


def sd1(widths: Widths = STANDARD) -> dict[str, Shape]:
    """Name -> shape of a whole SD 1.x checkpoint without EMA: UNet, VAE, text encoder."""
    parts = (unet("model.diffusion_model.", widths), vae("first_stage_model.", widths), clip("cond_stage_model.transformer.", widths))
    return {name: shape for part in parts for name, shape in part}


def _affine(name: str, *weight: int) -> Iterator[Row]:
    """A layer with weight and bias; the bias is as long as the weight's first dimension."""
    yield f"{name}.weight", weight
    yield f"{name}.bias", weight[:1]


def _conv(name: str, out: int, inp: int, kernel: int = 3) -> Iterator[Row]:
    return _affine(name, out, inp, kernel, kernel)


def _res(name: str, inp: int, out: int, emb: int) -> Iterator[Row]:
    yield from _affine(f"{name}.in_layers.0", inp)
    yield from _conv(f"{name}.in_layers.2", out, inp)
    yield from _affine(f"{name}.emb_layers.1", out, emb)
    yield from _affine(f"{name}.out_layers.0", out)
    yield from _conv(f"{name}.out_layers.3", out, out)
    if inp != out:
        yield from _conv(f"{name}.skip_connection", out, inp, 1)


def _attention(name: str, width: int, context: int) -> Iterator[Row]:
    yield f"{name}.to_q.weight", (width, width)
    yield f"{name}.to_k.weight", (width, context)
    yield f"{name}.to_v.weight", (width, context)
    yield from _affine(f"{name}.to_out.0", width, width)


def _transformer(name: str, width: int, context: int) -> Iterator[Row]:
    block = f"{name}.transformer_blocks.0"
    yield from _affine(f"{name}.norm", width)
    yield from _conv(f"{name}.proj_in", width, width, 1)
    yield from _attention(f"{block}.attn1", width, width)
    yield from _affine(f"{block}.ff.net.0.proj", width * 8, width)
    yield from _affine(f"{block}.ff.net.2", width, width * 4)
    yield from _attention(f"{block}.attn2", width, context)
    for norm in ("norm1", "norm2", "norm3"):
        yield from _affine(f"{block}.{norm}", width)
    yield from _conv(f"{name}.proj_out", width, width, 1)


def unet(root: str, widths: Widths) -> Iterator[Row]:
    """Two residual blocks a level going down and three going up, cross-attention on all levels but the deepest."""
    base = widths.unet[0]
    emb = base * 4
    yield from _affine(f"{root}time_embed.0", emb, base)
    yield from _affine(f"{root}time_embed.2", emb, emb)
    yield from _conv(f"{root}input_blocks.0.0", base, widths.latent_in)
    skips = [base]
    for level, width in enumerate(widths.unet):
        for _ in range(2):
            at = f"{root}input_blocks.{len(skips)}"
            yield from _res(f"{at}.0", skips[-1], width, emb)
            if level < 3:
                yield from _transformer(f"{at}.1", width, widths.clip)
            skips.append(width)
        if level < 3:
            yield from _conv(f"{root}input_blocks.{len(skips)}.0.op", width, width)
            skips.append(width)
    deep = widths.unet[3]
    yield from _res(f"{root}middle_block.0", deep, deep, emb)
    yield from _transformer(f"{root}middle_block.1", deep, widths.clip)
    yield from _res(f"{root}middle_block.2", deep, deep, emb)
    yield from _unet_up(root, widths, skips)
    yield from _affine(f"{root}out.0", base)
    yield from _conv(f"{root}out.2", 4, base)


def _unet_up(root: str, widths: Widths, skips: list[int]) -> Iterator[Row]:
    width, number = widths.unet[3], 0
    for level in reversed(range(4)):
        for third in range(3):
            at = f"{root}output_blocks.{number}"
            yield from _res(f"{at}.0", width + skips.pop(), widths.unet[level], widths.unet[0] * 4)
            width = widths.unet[level]
            if level < 3:
                yield from _transformer(f"{at}.1", width, widths.clip)
            if level > 0 and third == 2:
                yield from _conv(f"{at}.{1 if level == 3 else 2}.conv", width, width)
            number += 1


def _vae_res(name: str, inp: int, out: int) -> Iterator[Row]:
    yield from _affine(f"{name}.norm1", inp)
    yield from _conv(f"{name}.conv1", out, inp)
    yield from _affine(f"{name}.norm2", out)
    yield from _conv(f"{name}.conv2", out, out)
    if inp != out:
        yield from _conv(f"{name}.nin_shortcut", out, inp, 1)


def _vae_middle(name: str, width: int) -> Iterator[Row]:
    yield from _vae_res(f"{name}.mid.block_1", width, width)
    yield from _affine(f"{name}.mid.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        yield from _conv(f"{name}.mid.attn_1.{part}", width, width, 1)
    yield from _vae_res(f"{name}.mid.block_2", width, width)


def vae(root: str, widths: Widths) -> Iterator[Row]:
    """The kl-f8 autoencoder: encoder, decoder and the two 1x1 convolutions between them and the latents."""
    width, deep = widths.vae[0], widths.vae[3]
    yield from _conv(f"{root}encoder.conv_in", width, 3)
    for level, out in enumerate(widths.vae):
        for number in range(2):
            yield from _vae_res(f"{root}encoder.down.{level}.block.{number}", width, out)
            width = out
        if level < 3:
            yield from _conv(f"{root}encoder.down.{level}.downsample.conv", width, width)
    yield from _vae_middle(f"{root}encoder", deep)
    yield from _affine(f"{root}encoder.norm_out", deep)
    yield from _conv(f"{root}encoder.conv_out", 8, deep)
    yield from _conv(f"{root}decoder.conv_in", deep, 4)
    yield from _vae_middle(f"{root}decoder", deep)
    for level in reversed(range(4)):
        for number in range(3):
            yield from _vae_res(f"{root}decoder.up.{level}.block.{number}", width, widths.vae[level])
            width = widths.vae[level]
        if level > 0:
            yield from _conv(f"{root}decoder.up.{level}.upsample.conv", width, width)
    yield from _affine(f"{root}decoder.norm_out", width)
    yield from _conv(f"{root}decoder.conv_out", 3, width)
    yield from _conv(f"{root}quant_conv", 8, 8, 1)
    yield from _conv(f"{root}post_quant_conv", 4, 4, 1)


def clip(root: str, widths: Widths) -> Iterator[Row]:
    """The CLIP text encoder; `position_ids` is the only tensor of integers in the file."""
    width, model = widths.clip, f"{root}text_model"
    yield f"{model}.embeddings.position_ids", (1, 77)
    yield f"{model}.embeddings.token_embedding.weight", (widths.vocabulary, width)
    yield f"{model}.embeddings.position_embedding.weight", (77, width)
    for number in range(widths.clip_layers):
        layer = f"{model}.encoder.layers.{number}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from _affine(f"{layer}.self_attn.{part}", width, width)
        yield from _affine(f"{layer}.layer_norm1", width)
        yield from _affine(f"{layer}.mlp.fc1", width * 4, width)
        yield from _affine(f"{layer}.mlp.fc2", width, width * 4)
        yield from _affine(f"{layer}.layer_norm2", width)
    yield from _affine(f"{model}.final_layer_norm", width)


def ema_name(name: str) -> str | None:
    """What ldm calls the running average of a parameter: the name inside `model`, without its dots. UNet only, else None."""
    return f"model_ema.{name.removeprefix('model.').replace('.', '')}" if name.startswith("model.diffusion_model.") else None
