"""T5 in memory: the text encoder from a checkpoint or from the hub's folder, its tokenizer from the folder, and texts as it hears them.

Prompts reach it as they are written: weights in brackets and chunks are matters of CLIP, for T5 was never trained on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5EncoderModel

from inference.diffusion.flowfamilies import T5 as IN_CHECKPOINT
from inference.diffusion.flowfamilies import t5_config
from inference.diffusion.flowkeys import t5_sources
from inference.diffusion.loading import Part
from inference.diffusion.t5folder import NEEDS_T5, TOKENIZER, t5_folder
from inference.diffusion.weightfile import WeightFile, open_weights
from registry.formats.errors import FormatError

PAD, END = 0, 1
"""T5's own numbers for what fills up a text and for its end."""
MAX_TOKENIZER_BYTES = 64 << 20
ROWS = 8
"""Texts that are encoded at once: 512 tokens of 4096 numbers each, and T5's inner layers are 2.5 times as wide."""


@dataclass(slots=True)
class T5:
    """The encoder and its tokenizer; it gives `width` numbers a token."""

    model: T5EncoderModel
    tokenizer: Tokenizer
    width: int

    def encode(self, texts: Sequence[str], length: int) -> torch.Tensor:
        """[texts, length, width]. A text is cut to `length` tokens with its end and filled up to as many; nothing is masked, as the models
        that listen were trained (diffusers' pipelines of SD 3 and Flux)."""
        rows = [self._framed(text, length) for text in texts]
        device = self.model.shared.weight.device
        few = [torch.tensor(rows[start : start + ROWS], device=device) for start in range(0, len(rows), ROWS)]
        return torch.cat([self.model(input_ids=numbers).last_hidden_state for numbers in few])

    def _framed(self, text: str, length: int) -> list[int]:
        tokens = [*self.tokenizer.encode(text, add_special_tokens=False).ids[: length - 1], END]
        return tokens + [PAD] * (length - len(tokens))


@dataclass(frozen=True, slots=True)
class T5Part:
    """The encoder without memory, to be checked and filled, and its tokenizer."""

    part: Part[T5EncoderModel]
    tokenizer: Tokenizer
    width: int

    def filled(self, device: torch.device, dtype: torch.dtype) -> T5:
        """T5 overflows in float16, so it is never loaded in that type."""
        self.part.fill(device, torch.float32 if dtype == torch.float16 else dtype)
        module = self.part.module
        module.encoder.embed_tokens.weight = module.shared.weight  # one table, once in memory
        return T5(module, self.tokenizer, self.width)


def t5_part(weights: WeightFile, config: dict[str, Any] | None, width: int) -> T5Part | None:
    """T5 for a transformer that reads `width` numbers a token: the encoder in the checkpoint (`config`), else the folder's; the tokenizer
    is always the folder's. None where no folder is named. Raises FormatError `render:needs-t5` for a folder without what it should hold.
    """
    folder = t5_folder()
    if folder is None:
        return None
    tokenizer = _tokenizer(folder / TOKENIZER)
    prefix = IN_CHECKPOINT
    if config is None:
        weights, prefix = _encoder(folder)
        config = t5_config(weights.shapes, prefix)
    if config["d_model"] != width or config["vocab_size"] < tokenizer.get_vocab_size():
        raise FormatError("render:needs-t5", f"The T5 that this hub has is not the one that this model listens to. {NEEDS_T5}")
    with torch.device("meta"):
        module = T5EncoderModel(T5Config(**config))
    sources = t5_sources(module.state_dict(), prefix)
    return T5Part(Part("T5 text encoder", module, sources, weights), tokenizer, width)


def _tokenizer(path: Path) -> Tokenizer:
    with suppress(OSError):
        if path.stat().st_size <= MAX_TOKENIZER_BYTES:
            try:
                tokenizer = Tokenizer.from_file(str(path))
            except Exception as error:  # tokenizers raises nothing narrower
                raise FormatError("render:needs-t5", f"{TOKENIZER} in the T5 folder cannot be read. {NEEDS_T5}") from error
            if tokenizer.token_to_id("</s>") == END:
                tokenizer.no_padding()
                tokenizer.no_truncation()
                return tokenizer
    raise FormatError("render:needs-t5", f"The T5 folder has no {TOKENIZER} of T5. {NEEDS_T5}")


def _encoder(folder: Path) -> tuple[WeightFile, str]:
    """The first safetensors file of the folder with a whole encoder in it, and the prefix of its names."""
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            weights = open_weights(file.fileno())
        for prefix in ("", IN_CHECKPOINT):
            if f"{prefix}shared.weight" in weights.shapes and f"{prefix}encoder.final_layer_norm.weight" in weights.shapes:
                return weights, prefix
    raise FormatError("render:needs-t5", f"The T5 folder has no safetensors file with the whole encoder. {NEEDS_T5}")
