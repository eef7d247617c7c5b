"""Prompts as SD 3 and Flux hear them: CLIP's tokens and pooled texts, and T5's tokens. Syntax and chunks are as in `conditioning`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from inference.diffusion.conditioning import Chunk, Encoded, chunked, weighed
from inference.diffusion.flowfamilies import SD3
from inference.diffusion.loading import Model
from inference.diffusion.prompts import parse
from inference.diffusion.textencoder import TextEncoder

T5_TOKENS = {"sd3": 256, "flux": 512}
"""What diffusers' pipelines give the transformers; SD 3 gets as many zeros where there is no T5."""
SCHNELL_TOKENS = 256
"""Of Flux without guidance, whose training knew no longer texts."""


def encode_flow(model: Model, texts: Iterable[str]) -> dict[str, Encoded]:
    """Every distinct text. SD 3: contexts [77 * chunks + 256, joint width]; Flux: [512 or 256, joint width]; and the pooled text.

    CLIP skip is not heard: SD 3 was trained on the layer before the last, and Flux hears CLIP's pooled text alone.
    """
    wanted = list(dict.fromkeys(texts))
    prompts = {text: parse(text) for text in wanted}
    chunks = {text: chunked(prompts[text], model.encoders[0].tokenizer) for text in wanted}
    written = {text: "".join(piece.text for section in prompts[text].sections for piece in section) for text in wanted}
    long = _t5(model, [written[text] for text in wanted])
    found = {}
    for row, text in enumerate(wanted):
        parts = [_clip(encoder, chunks[text]) for encoder in model.encoders]
        pooled = torch.cat([pooled for _, pooled in parts])
        if model.architecture.family == SD3:
            near = torch.cat([context for context, _ in parts], dim=-1).flatten(0, 1)
            near = torch.nn.functional.pad(near, (0, long.shape[-1] - near.shape[-1]))
            found[text] = Encoded(torch.cat([near, long[row].to(near)]), pooled)
        else:
            found[text] = Encoded(long[row], pooled)
    return found


def _t5(model: Model, texts: list[str]) -> torch.Tensor:
    config = model.architecture.unet
    length = T5_TOKENS[model.architecture.family]
    if not config.get("guidance_embeds", True):
        length = SCHNELL_TOKENS
    if model.t5 is None:
        return torch.zeros(len(texts), length, config["joint_attention_dim"], device=model.device, dtype=model.dtype)
    encoded: torch.Tensor = model.t5.encode(texts, length)
    return encoded.to(model.dtype)


def _clip(encoder: TextEncoder, rows: list[Chunk]) -> tuple[torch.Tensor, torch.Tensor]:
    """The layer before the last [chunks, 77, width] with the weights put on, and the first chunk's pooled text."""
    numbers = torch.tensor([encoder.tokenizer.framed(chunk.tokens) for chunk in rows], device=encoder.token_embedding.weight.device)
    out: Any = encoder.transformer(input_ids=numbers, output_hidden_states=True)
    projection = getattr(encoder.model, "text_projection", None)
    pooled = out.pooler_output[0] if projection is None else projection(out.pooler_output)[0]
    return weighed(out.hidden_states[-2].clone(), rows), pooled
