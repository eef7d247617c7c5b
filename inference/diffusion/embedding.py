"""A textual inversion: the vectors that stand for a word, by the kind of text encoder that reads them. `conditioning` puts them in place.

Layouts: A1111's (`emb_params`; `string_to_param` as the hub's converted twins have it), SDXL's pair (`clip_l`, `clip_g`), diffusers'
one tensor called as its word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from inference.diffusion.loading import Model
from inference.diffusion.weightfile import WeightFile
from registry.formats.dtypes import FLOATS
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable

PAIRS = {"clip_l": "clip-l", "clip_g": "clip-g", "clip_h": "clip-h", "text_encoders_0": "clip-l", "text_encoders_1": "clip-g"}
"""Names of a tensor for one of several text encoders -> its kind; the last two as diffusers' training scripts write them."""
MAX_VECTORS = 75
"""Of one word: as many as a chunk of a prompt holds."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """`vectors` [n, width] in float32 on the model's device, by the kind of text encoder; n is the same for all. `name` is the word."""

    name: str
    vectors: Mapping[str, Tensor]


def load_embedding(weights: WeightFile, name: str, model: Model) -> Embedding:
    """The textual inversion in this file, for the word `name`.

    Raises FormatError `render:embedding` for what is none or holds numbers that are none, `render:other-family` with both widths where the
    model's text encoders take other vectors.
    """
    names = _names(weights, model)
    widths = {kind: weights.shapes[own][-1] for kind, own in names.items()}
    wanted = {encoder.kind: encoder.width for encoder in model.encoders}
    if widths != wanted and not _refines(widths, wanted):
        sentence = (
            f"The embedding was made for another family of models: its vectors have {_listed(widths)} numbers, and this model's text "
            f"encoders take {_listed(wanted)}. Choose a base that it was trained on."
        )
        raise FormatError("render:other-family", sentence)
    counts = {prod(weights.shapes[names[kind]][:-1]) for kind in wanted}
    if len(counts) != 1 or not 0 < max(counts) <= MAX_VECTORS:
        sentence = f"The embedding has {_some(counts)} vectors. A word has the same number for each text encoder, at most {MAX_VECTORS}."
        raise FormatError("render:embedding", sentence)
    return Embedding(name, {kind: _vectors(weights, names[kind], model) for kind in wanted})


def _refines(widths: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Whether this is SDXL's refiner, which has one of SDXL's two text encoders."""
    return set(wanted) == {"clip-g"} and widths.get("clip-g") == wanted["clip-g"]


def _names(weights: WeightFile, model: Model) -> dict[str, str]:
    """Kind of text encoder -> the tensor's name. A lone tensor is for the model's only text encoder."""
    odd = next((own for own, shape in weights.shapes.items() if len(shape) not in (1, 2)), None)
    if odd is not None or not weights.shapes:
        raise FormatError("render:embedding", "There is no textual inversion in the file: its tensors are no lists of vectors.")
    pairs = {PAIRS[own]: own for own in weights.shapes if own in PAIRS}
    if pairs:
        return pairs
    own = "emb_params" if "emb_params" in weights.shapes else next(iter(weights.shapes))
    if own != "emb_params" and len(weights.shapes) > 1:
        named = ", ".join(printable(one.removeprefix("string_to_param."), 40) for one in list(weights.shapes)[:5])
        sentence = f"The file holds several embeddings ({named}); which of them is meant cannot be told. Upload each in a file of its own."
        raise FormatError("render:embedding", sentence)
    return {model.encoders[0].kind if len(model.encoders) == 1 else "": own}


def _vectors(weights: WeightFile, own: str, model: Model) -> Tensor:
    if weights.dtypes[own] not in FLOATS:
        raise FormatError("render:element-type", f"The embedding is of type {weights.dtypes[own]}. Upload it as fp16 or fp32.")
    vectors = weights.tensor(own, model.device, torch.float32)
    if not bool(vectors.isfinite().all()):
        raise FormatError("render:embedding", "The embedding holds numbers that are none (NaN or infinity). Its training went wrong.")
    return vectors.reshape(-1, vectors.shape[-1])


def _listed(widths: Mapping[str, int]) -> str:
    return " and ".join(f"{width} ({kind})" if kind else str(width) for kind, width in widths.items())


def _some(counts: set[int]) -> str:
    return " and ".join(str(count) for count in sorted(counts))
