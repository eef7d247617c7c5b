"""Prompts as a model hears them: tokens in chunks of 75, weights, embeddings' vectors, CLIP skip. Runs the text encoders, nothing else.

The rules are AUTOMATIC1111's (webui 1.10, modules/sd_hijack_clip.py and sd_emphasis.py), "Original" emphasis. Where A1111 restores the
mean over a whole batch it is restored for each chunk, so that a prompt sounds the same whatever is encoded beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from inference.diffusion.embedding import Embedding
from inference.diffusion.loading import Model
from inference.diffusion.prompts import Prompt, parse
from inference.diffusion.textencoder import TextEncoder
from inference.diffusion.tokenizer import LENGTH, ROOM, ClipTokenizer
from registry.formats.errors import LimitExceeded

COMMA_REACH = 20
"""Tokens behind a comma that move to the next chunk when theirs is full (A1111's default)."""
MAX_CHUNKS = 20
"""Chunks of one prompt, 1,500 tokens: each makes every step of every picture dearer."""
ROWS = 64
"""Chunks that are encoded at once: less than 100 MB at SDXL's widths."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text, for the UNet: `context` [77 * chunks, width], and for SDXL the pooled text [width]."""

    context: torch.Tensor
    pooled: torch.Tensor | None = None

    @property
    def length(self) -> int:
        return int(self.context.shape[0])

    def silent(self) -> Encoded:
        """The same with zeros: what SDXL takes for an empty negative prompt."""
        return Encoded(torch.zeros_like(self.context), None if self.pooled is None else torch.zeros_like(self.pooled))


@dataclass(slots=True)
class Chunk:
    """At most 75 tokens, their weights, and which of them an embedding's vectors stand in for (from where on)."""

    tokens: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    embedded: list[tuple[int, Embedding]] = field(default_factory=list)


def encode(model: Model, texts: Iterable[str], clip_skip: int = 1, embeddings: Sequence[Embedding] = ()) -> dict[str, Encoded]:
    """Every distinct text, all in as few calls of the text encoders as there are encoders (more beyond `ROWS` chunks).

    `clip_skip` counts as A1111 does: 1 is the last layer, at most as many as the encoder has. It acts on SD 1.x alone: SD 2.x and SDXL
    were trained on the layer before the last and always use it. Raises LimitExceeded("render:prompt-too-long").
    """
    wanted = list(dict.fromkeys(texts))
    chunks = {text: chunked(parse(text), model.encoders[0].tokenizer, embeddings) for text in wanted}
    rows = [chunk for text in wanted for chunk in chunks[text]]
    parts = [_encoded(encoder, rows, clip_skip, sdxl=model.architecture.is_sdxl) for encoder in model.encoders]
    context = torch.cat([contexts for contexts, _ in parts], dim=-1)
    pooled = next((pooled for _, pooled in reversed(parts) if pooled is not None), None)
    found, at = {}, 0
    for text in wanted:
        end = at + len(chunks[text])
        found[text] = Encoded(context[at:end].flatten(0, 1), None if pooled is None else pooled[at])
        at = end
    return found


def check_length(text: str) -> None:
    """Raises LimitExceeded("render:prompt-too-long") for a text of more than `MAX_CHUNKS` chunks, before any model is at hand. What stands
    for embeddings' words is not known by then.
    """
    if len(text.encode(errors="replace")) > MAX_CHUNKS * ROOM or text.count("BREAK") >= MAX_CHUNKS:  # else it cannot be
        chunked(parse(text), ClipTokenizer(pad=0))


def chunked(prompt: Prompt, tokenizer: ClipTokenizer, embeddings: Sequence[Embedding] = ()) -> list[Chunk]:
    """The prompt in chunks of at most 75 tokens. A full one breaks behind its last comma if that is near; BREAK ends one at once.

    An embedding's word is found by its tokens, as A1111 does: whatever the case, and the longest that fits.
    """
    words = _words(tokenizer, embeddings)
    writer = _Writer(tokenizer.comma)
    for place, section in enumerate(prompt.sections):
        if place:
            writer.close()
        tokenized = tokenizer.encode_many([piece.text for piece in section])
        for tokens, piece in zip(tokenized, section, strict=True):
            _write(writer, tokens, piece.weight, words)
    if writer.chunk.tokens or not writer.chunks:
        writer.close()
    return writer.chunks


Words = dict[int, list[tuple[list[int], Embedding]]]
"""Embeddings by the first token of their names, the longest names first."""


def _words(tokenizer: ClipTokenizer, embeddings: Sequence[Embedding]) -> Words:
    words: Words = {}
    for embedding in embeddings:
        if tokens := tokenizer.encode(embedding.name):
            words.setdefault(tokens[0], []).append((tokens, embedding))
    for named in words.values():
        named.sort(key=lambda one: -len(one[0]))
    return words


def _write(writer: _Writer, tokens: list[int], weight: float, words: Words) -> None:
    at = 0
    while at < len(tokens):
        named = next(((name, one) for name, one in words.get(tokens[at], ()) if tokens[at : at + len(name)] == name), None)
        if named is None:
            writer.token(tokens[at], weight)
            at += 1
        else:
            writer.embedding(named[1], weight)
            at += len(named[0])


class _Writer:
    """Fills chunk after chunk."""

    def __init__(self, comma: int) -> None:
        self.chunks: list[Chunk] = []
        self.chunk = Chunk()
        self._comma = comma
        self._last_comma = -1

    def close(self) -> None:
        if len(self.chunks) == MAX_CHUNKS:
            sentence = f"The prompt has more than {MAX_CHUNKS * ROOM:,} tokens, which is more than is rendered. Make it shorter."
            raise LimitExceeded("render:prompt-too-long", sentence)
        self.chunks.append(self.chunk)
        self.chunk, self._last_comma = Chunk(), -1

    def token(self, token: int, weight: float) -> None:
        if token == self._comma:
            self._last_comma = len(self.chunk.tokens)
        elif len(self.chunk.tokens) == ROOM and self._last_comma != -1 and ROOM - self._last_comma <= COMMA_REACH:
            self._break_behind_comma()
        if len(self.chunk.tokens) == ROOM:
            self.close()
        self.chunk.tokens.append(token)
        self.chunk.weights.append(weight)

    def embedding(self, embedding: Embedding, weight: float) -> None:
        count = len(next(iter(embedding.vectors.values())))
        if len(self.chunk.tokens) + count > ROOM:
            self.close()
        self.chunk.embedded.append((len(self.chunk.tokens), embedding))
        self.chunk.tokens += [0] * count
        self.chunk.weights += [weight] * count

    def _break_behind_comma(self) -> None:
        full, cut = self.chunk, self._last_comma + 1
        self.chunk = Chunk(full.tokens[:cut], full.weights[:cut], [one for one in full.embedded if one[0] < cut])
        self.close()
        moved = [(place - cut, embedding) for place, embedding in full.embedded if place >= cut]
        self.chunk = Chunk(full.tokens[cut:], full.weights[cut:], moved)


def _encoded(encoder: TextEncoder, rows: list[Chunk], clip_skip: int, *, sdxl: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Contexts [rows, 77, width] with the weights put on, and the pooled rows of an encoder that has a projection."""
    found = [_run(encoder, rows[start : start + ROWS], clip_skip, sdxl=sdxl) for start in range(0, len(rows), ROWS)]
    context = weighed(torch.cat([context for context, _ in found]), rows)
    pooled = [pooled for _, pooled in found if pooled is not None]
    return context, torch.cat(pooled) if pooled else None


def _run(encoder: TextEncoder, rows: list[Chunk], clip_skip: int, *, sdxl: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    device = encoder.token_embedding.weight.device
    numbers = torch.tensor([encoder.tokenizer.framed(chunk.tokens) for chunk in rows], device=device)
    with _vectors_in_place(encoder, rows):
        out: Any = encoder.transformer(input_ids=numbers, output_hidden_states=True)
    if sdxl:
        projection = getattr(encoder.model, "text_projection", None)
        return out.hidden_states[-2], None if projection is None else projection(out.pooler_output)
    skipped = min(clip_skip, encoder.layers) if encoder.kind == "clip-l" else 1
    return encoder.transformer.final_layer_norm(out.hidden_states[-skipped]), None


@contextmanager
def _vectors_in_place(encoder: TextEncoder, rows: list[Chunk]) -> Iterator[None]:
    """While it lasts, the embeddings' vectors are found where their words stand; neither tokenizer nor weights are touched."""

    def replace(module: torch.nn.Module, given: tuple[Any, ...], found: torch.Tensor) -> torch.Tensor:
        found = found.clone()
        for row, chunk in enumerate(rows):
            for place, embedding in chunk.embedded:
                vectors = embedding.vectors[encoder.kind]
                found[row, 1 + place : 1 + place + len(vectors)] = vectors.to(found)
        return found

    if not any(chunk.embedded for chunk in rows):
        yield
        return
    hook = encoder.token_embedding.register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()


def weighed(context: torch.Tensor, rows: list[Chunk]) -> torch.Tensor:
    """Token vectors times their weights; the mean of each chunk is then what it was before."""
    for row, chunk in enumerate(rows):
        if any(weight != 1.0 for weight in chunk.weights):
            weights = torch.ones(LENGTH, device=context.device, dtype=torch.float32)
            weights[1 : 1 + len(chunk.weights)] = torch.tensor(chunk.weights, device=context.device)
            plain = context[row].float()
            weighed = plain * weights[:, None]
            share = plain.mean() / weighed.mean()
            context[row] = (weighed * share if torch.isfinite(share) else weighed).to(context.dtype)
    return context
