"""Small SD 3 and Flux checkpoints with random weights in the true single-file layouts, and a T5 of the same kind with a tokenizer.

Names are those of Stability AI's, Black Forest Labs' and ComfyUI's files; widths are one or two heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import Unigram

from samples.layout import Row, Widths, clip, vae
from tests.diffusion_models import State, state_of, written

WIDTH, JOINT, GRID = 128, 256, 16
U, V, TEXT = "model.diffusion_model.", "first_stage_model.", "text_encoders."
PARTS = Widths(unet=(64, 64, 64, 64), vae=(32, 32, 64, 64), clip=64, clip_layers=3)
LATENTS = 16


def linear(name: str, out: int, inside: int) -> Iterator[Row]:
    yield f"{name}.weight", (out, inside)
    yield f"{name}.bias", (out,)


def sd3_layout(*, rms: bool = False, dual: int = 0, blocks: int = 2, pooled: int = 64 + 128) -> dict[str, tuple[int, ...]]:
    """SD 3's transformer (SD 3.5: `rms`; SD 3.5 medium: its first `dual` blocks attend twice)."""
    rows: list[Row] = [(f"{U}pos_embed", (1, GRID * GRID, WIDTH)), (f"{U}x_embedder.proj.weight", (WIDTH, LATENTS, 2, 2))]
    rows += [(f"{U}x_embedder.proj.bias", (WIDTH,)), *linear(f"{U}context_embedder", WIDTH, JOINT)]
    for name, inside in (("t_embedder", 256), ("y_embedder", pooled)):
        rows += [*linear(f"{U}{name}.mlp.0", WIDTH, inside), *linear(f"{U}{name}.mlp.2", WIDTH, WIDTH)]
    for number in range(blocks):
        for stream in ("x_block", "context_block"):
            last = number == blocks - 1 and stream == "context_block"
            twice = stream == "x_block" and number < dual
            rows += _sd3_stream(f"{U}joint_blocks.{number}.{stream}", rms=rms, last=last, twice=twice)
    rows += [*linear(f"{U}final_layer.linear", 4 * LATENTS, WIDTH), *linear(f"{U}final_layer.adaLN_modulation.1", 2 * WIDTH, WIDTH)]
    return dict(rows)


def _sd3_stream(name: str, *, rms: bool, last: bool, twice: bool) -> Iterator[Row]:
    yield from linear(f"{name}.adaLN_modulation.1", (2 if last else 9 if twice else 6) * WIDTH, WIDTH)
    for attention in ("attn", "attn2") if twice else ("attn",):
        yield from linear(f"{name}.{attention}.qkv", 3 * WIDTH, WIDTH)
        if rms:
            yield f"{name}.{attention}.ln_q.weight", (64,)
            yield f"{name}.{attention}.ln_k.weight", (64,)
        if not last:
            yield from linear(f"{name}.{attention}.proj", WIDTH, WIDTH)
    if not last:
        yield from linear(f"{name}.mlp.fc1", 4 * WIDTH, WIDTH)
        yield from linear(f"{name}.mlp.fc2", WIDTH, 4 * WIDTH)


def flux_layout(*, guided: bool = True, width: int = WIDTH) -> dict[str, tuple[int, ...]]:
    """Flux' transformer with one block of each kind (schnell: not `guided`)."""
    rows: list[Row] = [*linear(f"{U}img_in", width, 4 * LATENTS), *linear(f"{U}txt_in", width, JOINT)]
    for name, inside in (("time_in", 256), ("vector_in", 64), *([("guidance_in", 256)] if guided else [])):
        rows += [*linear(f"{U}{name}.in_layer", width, inside), *linear(f"{U}{name}.out_layer", width, width)]
    for side in ("img", "txt"):
        block = f"{U}double_blocks.0.{side}"
        rows += [*linear(f"{block}_mod.lin", 6 * width, width), *linear(f"{block}_attn.qkv", 3 * width, width)]
        rows += [(f"{block}_attn.norm.{one}_norm.scale", (128,)) for one in ("query", "key")]
        rows += [*linear(f"{block}_attn.proj", width, width), *linear(f"{block}_mlp.0", 4 * width, width)]
        rows += linear(f"{block}_mlp.2", width, 4 * width)
    single = f"{U}single_blocks.0"
    rows += [*linear(f"{single}.linear1", 7 * width, width), *linear(f"{single}.linear2", width, 5 * width)]
    rows += [*linear(f"{single}.modulation.lin", 3 * width, width)]
    rows += [(f"{single}.norm.{one}_norm.scale", (128,)) for one in ("query", "key")]
    rows += [*linear(f"{U}final_layer.linear", 4 * LATENTS, width), *linear(f"{U}final_layer.adaLN_modulation.1", 2 * width, width)]
    return dict(rows)


def t5_layout(prefix: str = "", width: int = JOINT) -> dict[str, tuple[int, ...]]:
    """T5 v1.1: gated, 2 blocks of 4 heads of 64."""
    rows: dict[str, tuple[int, ...]] = {f"{prefix}shared.weight": (128, width), f"{prefix}encoder.final_layer_norm.weight": (width,)}
    for number in range(2):
        block = f"{prefix}encoder.block.{number}.layer."
        rows |= {f"{block}0.SelfAttention.{one}.weight": (256, width) for one in "qkv"} | {f"{block}0.SelfAttention.o.weight": (width, 256)}
        rows |= {f"{block}{layer}.layer_norm.weight": (width,) for layer in (0, 1)}
        rows |= {f"{block}1.DenseReluDense.wi_{one}.weight": (512, width) for one in (0, 1)}
        rows[f"{block}1.DenseReluDense.wo.weight"] = (width, 512)
    return rows | {f"{prefix}encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 4)}


def vae16(prefix: str = V) -> dict[str, tuple[int, ...]]:
    """An autoencoder of 16 channels, without the convolutions about the latents."""
    rows = {name: shape for name, shape in vae(prefix, PARTS) if "quant_conv" not in name}
    rows[f"{prefix}encoder.conv_out.weight"] = (2 * LATENTS, *rows[f"{prefix}encoder.conv_out.weight"][1:])
    rows[f"{prefix}encoder.conv_out.bias"] = (2 * LATENTS,)
    rows[f"{prefix}decoder.conv_in.weight"] = (rows[f"{prefix}decoder.conv_in.weight"][0], LATENTS, 3, 3)
    return rows


def clip_of(which: str, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    """A CLIP of these sizes, as both lie in these files: in transformers' names, CLIP-G with its projection beside it."""
    root = f"{TEXT}{which}.transformer."
    rows = dict(clip(root, Widths(unet=PARTS.unet, vae=PARTS.vae, clip=width, clip_layers=layers)))
    return rows | ({f"{root}text_projection.weight": (width, width)} if which == "clip_g" else {})


def sd3_state(*, seed: int = 0, dtype: str = "F32", t5: bool = False, rms: bool = False, dual: int = 0) -> State:
    texts = {**clip_of("clip_l", 64, 3), **clip_of("clip_g", 128, 3)}
    long = t5_layout(f"{TEXT}t5xxl.transformer.") if t5 else {}
    return state_of({**sd3_layout(rms=rms, dual=dual), **vae16(), **texts, **long}, seed=seed, dtype=dtype)


def flux_state(*, seed: int = 0, dtype: str = "F32", t5: bool = True, guided: bool = True) -> State:
    long = t5_layout(f"{TEXT}t5xxl.transformer.") if t5 else {}
    texts = clip_of("clip_l", 64, 3)
    return state_of({**flux_layout(guided=guided), **vae16("vae."), **texts, **long}, seed=seed, dtype=dtype)


def t5_dir(folder: Path, *, encoder: bool = True, width: int = JOINT) -> Path:
    """A folder as WEIGH_T5_DIR names it: a tokenizer of letters with T5's marks, and the encoder in a file of its own."""
    folder.mkdir(exist_ok=True)
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    tokenizer = Tokenizer(Unigram([*marks, *((chr(code), -3.0) for code in range(97, 123))], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(folder / "tokenizer.json"))
    if encoder:
        written(folder / "t5.safetensors", state_of(t5_layout(width=width), seed=5))
    return folder


def without(state: State, prefix: str) -> State:
    """The other tensors."""
    return {name: one for name, one in state.items() if not name.startswith(prefix)}
