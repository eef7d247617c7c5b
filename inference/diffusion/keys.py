"""Where each parameter of a model in memory lies in a single file: names by names, and what is to be done to the tensor. Free of torch.

Names in memory are diffusers' and transformers', names in files ldm's, OpenCLIP's or transformers'. Sources: CompVis ldm `model.py`
(autoencoder), open_clip `transformer.py`, diffusers `single_file_utils.py`; the UNet's names are in `registry.identify.unetnames`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from inference.diffusion.textconfig import TextEncoderConfig
from inference.diffusion.vaeconfig import spelled_by_diffusers
from registry.formats.errors import FormatError
from registry.identify.unetnames import DiffusersUnet

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
NAMED_AT_MOST = 5
"""Tensors that an error names."""


@dataclass(frozen=True, slots=True)
class Source:
    """The tensor of the file that a parameter comes from. `third` is the third of its rows that is meant (queries, keys, values in one
    matrix), `turned` a matrix to be transposed, `flat` a 1x1 convolution that is used as a matrix, `swapped` one whose halves change
    places, `rows` those that are meant, from and to."""

    name: str
    third: int | None = None
    turned: bool = False
    flat: bool = False
    swapped: bool = False
    rows: tuple[int, int] | None = None

    def shape(self, stored: Shape) -> Shape:
        """The parameter's shape, from that of the stored tensor."""
        if self.third is not None:
            return (stored[0] // 3, *stored[1:]) if stored and stored[0] % 3 == 0 else stored
        if self.rows is not None:
            return (self.rows[1] - self.rows[0], *stored[1:]) if stored and stored[0] >= self.rows[1] else stored
        if self.turned:
            return stored[::-1]
        if self.flat and len(stored) > 2 and set(stored[2:]) == {1}:
            return stored[:2]
        return stored


Sources = dict[str, Source]
"""Parameter in memory -> where it lies."""


def unet_sources(parameters: Iterable[str], prefix: str, *, ema: bool = False) -> Sources:
    """For diffusers' `UNet2DConditionModel`; with `ema` the running averages that ldm's training keeps of it."""
    names = list(parameters)
    ldm = DiffusersUnet(names)
    found = {name: Source(f"{prefix}{ldm.ldm(module) or module}.{end}") for name in names for module, _, end in (name.rpartition("."),)}
    return {name: replace(source, name=averaged(source.name)) for name, source in found.items()} if ema else found


def averaged(name: str) -> str:
    """What ldm calls the running average of a parameter of its `model`: the name inside, without dots."""
    return "model_ema." + name.removeprefix("model.").replace(".", "")


VAE_PARTS = (
    ("conv_norm_out", "norm_out"),
    ("downsamplers.0.conv", "downsample.conv"),
    ("upsamplers.0.conv", "upsample.conv"),
    ("conv_shortcut", "nin_shortcut"),
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0", "mid.attn_1"),
    ("down_blocks", "down"),
    ("up_blocks", "up"),
    ("resnets", "block"),
    ("group_norm", "norm"),
    ("to_out.0", "proj_out"),
    ("to_q", "q"),
    ("to_k", "k"),
    ("to_v", "v"),
)
"""Parts of an autoencoder's names at diffusers and at ldm."""
OLD_ATTENTION = (("to_out.0", "proj_attn"), ("to_q", "query"), ("to_k", "key"), ("to_v", "value"))
"""What diffusers called them before 0.18."""


def vae_sources(parameters: Iterable[str], shapes: Shapes, prefix: str, levels: int) -> Sources:
    """For diffusers' `AutoencoderKL`, from a file in ldm's or in diffusers' own names."""
    if spelled_by_diffusers(shapes, prefix):
        old = f"{prefix}encoder.mid_block.attentions.0.query.weight" in shapes
        return {name: _attention(name, prefix + (_parts(name, OLD_ATTENTION) if old else name)) for name in parameters}
    return {name: _attention(name, prefix + _parts(_level_from_below(name, levels), VAE_PARTS)) for name in parameters}


def _attention(name: str, stored: str) -> Source:
    return Source(stored, flat=".attentions." in name and name.endswith(".weight"))


def _parts(name: str, parts: tuple[tuple[str, str], ...]) -> str:
    """The name with whole parts replaced: `to_k` is one, the end of `block_k` is none."""
    dotted = f".{name}."
    for diffusers, ldm in parts:
        dotted = dotted.replace(f".{diffusers}.", f".{ldm}.")
    return dotted[1:-1]


def _level_from_below(name: str, levels: int) -> str:
    """ldm counts the decoder's levels from the picture's side, diffusers from the latents'."""
    head, _, rest = name.partition("decoder.up_blocks.")
    number, _, inner = rest.partition(".")
    return name if head or not rest else f"decoder.up_blocks.{levels - 1 - int(number)}.{inner}"


OPENCLIP_PARTS = (
    ("embeddings.token_embedding", "token_embedding"),
    ("encoder.layers", "transformer.resblocks"),
    ("final_layer_norm", "ln_final"),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("self_attn.out_proj", "attn.out_proj"),
)
"""Parts of a text encoder's names at transformers and at OpenCLIP."""
IN_ONE = {"q_proj": 0, "k_proj": 1, "v_proj": 2}
"""Which third of OpenCLIP's `in_proj` they are."""


def text_sources(parameters: Iterable[str], encoder: TextEncoderConfig) -> Sources:
    """For transformers' `CLIPTextModel` and `CLIPTextModelWithProjection` (whose names have `text_model.` before them)."""
    if encoder.layout == "transformers":
        return {name: Source(encoder.prefix + name.removeprefix("text_model.")) for name in parameters}
    return {name: _openclip(encoder.prefix, name.removeprefix("text_model.")) for name in parameters}


def _openclip(prefix: str, name: str) -> Source:
    if name == "text_projection.weight":
        return Source(f"{prefix}text_projection", turned=True)
    if name == "embeddings.position_embedding.weight":
        return Source(f"{prefix}positional_embedding")
    module, _, end = name.rpartition(".")
    block, _, last = module.rpartition(".")
    if last in IN_ONE:
        return Source(f"{prefix}{_parts(block, OPENCLIP_PARTS).replace('self_attn', 'attn')}.in_proj_{end}", third=IN_ONE[last])
    return Source(prefix + _parts(name, OPENCLIP_PARTS))


def check(what: str, wanted: Shapes, sources: Mapping[str, Source], shapes: Shapes) -> None:
    """Raises `FormatError` "render:missing-tensors" or "render:wrong-shapes" unless the file has every wanted parameter in its shape.

    `wanted` are the parameters in memory with their shapes, `shapes` the file's; nothing has been allocated until then.
    """
    missing = sorted({sources[name].name for name in wanted} - shapes.keys())
    if missing:
        raise FormatError("render:missing-tensors", f"The {what} is not whole: {_named(missing)} missing. Upload the whole checkpoint.")
    wrong = [
        f"{source.name} has {list(shapes[source.name])}, and {list(shape)} is needed"
        for name, shape in wanted.items()
        if (source := sources[name]) and source.shape(shapes[source.name]) != shape
    ]
    if wrong:
        raise FormatError("render:wrong-shapes", f"Tensors of the {what} do not fit each other: {'; '.join(wrong[:3])}.")


def check_used(prefix: str, used: Iterable[str], shapes: Shapes) -> None:
    """Raises `FormatError` "render:unknown-tensors" if the UNet has tensors that would be left out: pictures would not be its own."""
    left = sorted({name for name in shapes if name.startswith(prefix)} - set(used))
    if left:
        told = f"The UNet has tensors that no known model has: {_named(left, '')}. Pictures made without them would not be the model's."
        raise FormatError("render:unknown-tensors", told)


def _named(names: list[str], verb: str = "are") -> str:
    shown = ", ".join(name[:200] for name in names[:NAMED_AT_MOST])
    more = len(names) - NAMED_AT_MOST
    told = f"{shown} and {more} more tensors" if more > 0 else shown
    return f"{told} {'is' if verb and len(names) == 1 else verb}".rstrip()
