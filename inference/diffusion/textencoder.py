"""A text encoder in memory: transformers' CLIP with its tokenizer and what callers must know of it. It encodes no prompts itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from inference.diffusion.textconfig import TextEncoderConfig
from inference.diffusion.tokenizer import ClipTokenizer

ClipModel = CLIPTextModel | CLIPTextModelWithProjection


@dataclass(slots=True)
class TextEncoder:
    """One text encoder. `kind` is "clip-l", "clip-h" or "clip-g"; `width` the numbers it gives a token; `layers` those in memory.

    "clip-h" holds the layers up to the one before the last, which SD 2 reads; "clip-g" has a projection for the pooled text.
    """

    model: ClipModel
    tokenizer: ClipTokenizer
    kind: str
    width: int
    layers: int

    @property
    def transformer(self) -> CLIPTextModel:
        """The encoder itself, with or without a projection around it."""
        return self.model.text_model if isinstance(self.model, CLIPTextModelWithProjection) else self.model

    @property
    def token_embedding(self) -> torch.nn.Embedding:
        embedding = self.transformer.embeddings.token_embedding
        assert isinstance(embedding, torch.nn.Embedding)  # noqa: S101 (for the type checker; transformers says Module)
        return embedding


def empty_encoder(config: TextEncoderConfig) -> TextEncoder:
    """The encoder on the meta device: shapes without weights."""
    with torch.device("meta"):
        settings = CLIPTextConfig(**config.for_transformers())
        model: ClipModel = CLIPTextModelWithProjection(settings) if config.projection else CLIPTextModel(settings)
    return TextEncoder(model, ClipTokenizer(pad=config.pad), config.kind, config.width, config.layers)


def give_positions(encoder: TextEncoder, device: torch.device) -> None:
    """Fills the one buffer that no file holds: the numbers of the positions."""
    embeddings = encoder.transformer.embeddings
    count = embeddings.position_embedding.weight.shape[0]
    embeddings.register_buffer("position_ids", torch.arange(count, device=device).expand((1, -1)), persistent=False)
