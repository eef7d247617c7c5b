"""Which text encoders a checkpoint holds and how they are built, read off names and shapes. Free of torch; it reads no weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from registry.formats.errors import FormatError

Shape = tuple[int, ...]

HEAD_CHANNELS = 64
"""Channels of one head in CLIP ViT-L, OpenCLIP ViT-H and ViT-bigG alike."""
TOKENS = 77
VOCABULARY = 49_408
MAX_WIDTH, MAX_LAYERS, MAX_VOCABULARY = 8192, 48, 200_000
LAYER = {"transformers": re.compile(r"encoder\.layers\.(\d{1,2})\."), "openclip": re.compile(r"transformer\.resblocks\.(\d{1,2})\.")}
NAMES = {
    "transformers": ("embeddings.token_embedding.weight", "embeddings.position_embedding.weight", "encoder.layers.0.mlp.fc1.weight"),
    "openclip": ("token_embedding.weight", "positional_embedding", "transformer.resblocks.0.mlp.c_fc.weight"),
}
"""Tensors that tell vocabulary and width, number of positions, and the width inside of a layer."""


@dataclass(frozen=True, slots=True)
class TextEncoderConfig:
    """One text encoder: where its tensors lie (`prefix`, `layout`) and what it is (`kind`, sizes).

    `layers` are those that are loaded; OpenCLIP's last one is not used by SD 2. `projection` is 0 where there is none.
    """

    prefix: str
    layout: str
    kind: str
    width: int
    inner: int
    layers: int
    vocabulary: int
    hidden_act: str
    pad: int
    projection: int = 0

    @property
    def heads(self) -> int:
        return max(1, self.width // HEAD_CHANNELS)

    def for_transformers(self) -> dict[str, Any]:
        """Arguments of transformers' `CLIPTextConfig`."""
        return {
            "vocab_size": self.vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "projection_dim": self.projection or self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "max_position_embeddings": TOKENS,
            "hidden_act": self.hidden_act,
        }


def text_encoders(shapes: Mapping[str, Shape], places: list[dict[str, str]], kinds: Mapping[str, Any]) -> list[TextEncoderConfig]:
    """Every text encoder of the file, in the order of `places`; raises `FormatError` "render:text-layout" for one of no known build."""
    found = [_encoder(shapes, place, kinds[place["kind"]]) for place in places]
    return [encoder for encoder in found if encoder is not None]


def _encoder(shapes: Mapping[str, Shape], place: Mapping[str, str], kind: Mapping[str, Any]) -> TextEncoderConfig | None:
    layout, prefix = place["layout"], place["prefix"]
    tokens, positions, inner = NAMES[layout]
    inside = next((root for root in (f"{prefix}text_model.", prefix) if root + tokens in shapes), None)
    if inside is None:
        return None
    vocabulary, width = _matrix(shapes, inside + tokens)
    if vocabulary < VOCABULARY:
        raise _strange(f"{inside + tokens} has {vocabulary} rows, and CLIP's vocabulary has {VOCABULARY} words")
    if width % max(1, width // HEAD_CHANNELS):
        raise _strange(f"a width of {width} does not divide into heads of {HEAD_CHANNELS}")
    if _matrix(shapes, inside + positions) != (TOKENS, width):
        raise _strange(f"{inside + positions} is not for {TOKENS} tokens")
    encoder = TextEncoderConfig(
        prefix=inside, layout=layout, kind=place["kind"], width=width, inner=_matrix(shapes, inside + inner)[0],
        layers=_layers(shapes, inside, layout, int(kind["unused_layers"])), vocabulary=vocabulary,
        hidden_act=str(kind["hidden_act"]), pad=int(kind["pad"]),
    )  # fmt: skip
    return replace(encoder, projection=_matrix(shapes, f"{inside}text_projection")[1]) if kind["projected"] else encoder


def _layers(shapes: Mapping[str, Shape], inside: str, layout: str, unused: int) -> int:
    """Layers to be loaded. Trainers that write SD 2 anew leave out its unused 24th layer; then all 23 are used."""
    pattern = LAYER[layout]
    numbers = {int(match[1]) for name in shapes if name.startswith(inside) and (match := pattern.match(name, len(inside)))}
    count = max(numbers, default=-1) + 1
    if not 0 < count <= MAX_LAYERS or len(numbers) != count:
        raise _strange(f"{inside} has {len(numbers)} layers whose numbers do not follow each other, or too many")
    return count if count == 23 else max(1, count - unused)


def _matrix(shapes: Mapping[str, Shape], name: str) -> tuple[int, int]:
    shape = shapes.get(name, ())
    if len(shape) != 2 or not 0 < shape[0] <= MAX_VOCABULARY or not 0 < shape[1] <= MAX_WIDTH:
        raise _strange(f"{name} is missing or has no such shape")
    return shape[0], shape[1]


def _strange(what: str) -> FormatError:
    return FormatError("render:text-layout", f"The text encoder is not laid out as CLIP's: {what}.")
