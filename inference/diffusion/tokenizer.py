"""CLIP's byte pair encoding: text to token numbers. Free of torch. It knows no prompt syntax, no chunks and no weights.

The vocabulary is OpenAI's (`vocabulary`).
Rules: OpenAI CLIP `simple_tokenizer.py`, transformers `CLIPTokenizer`. Texts are not repaired (ftfy), as transformers does not either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from inference.diffusion.vocabulary import installed

START, END = 49_406, 49_407
COMMA = 267
"""The token `,</w>`."""
LENGTH, ROOM = 77, 75
"""Tokens of one chunk, with and without its start and its end."""
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True, slots=True)
class ClipTokenizer:
    """The encoding with the token that fills up short texts: CLIP-L repeats the end, OpenCLIP uses 0 ("!")."""

    pad: int = END
    start: int = START
    end: int = END
    comma: int = COMMA
    length: int = LENGTH

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text, without start, end and padding; any length."""
        return list(_encoding().encode(text, add_special_tokens=False).ids)

    def encode_many(self, texts: list[str]) -> list[list[int]]:
        """The same for many texts."""
        return [list(found.ids) for found in _encoding().encode_batch(texts, add_special_tokens=False)]

    def framed(self, tokens: list[int]) -> list[int]:
        """One chunk as the text encoder takes it: at most 75 tokens with start and end, filled up to 77."""
        body = [self.start, *tokens[:ROOM], self.end]
        return body + [self.pad] * (self.length - len(body))

    def word(self, token: int) -> str:
        """The piece of text that a token stands for; `</w>` marks the end of a word."""
        return str(_encoding().id_to_token(token) or "")


@cache
def _encoding() -> Tokenizer:
    vocabulary, merges = installed()
    encoding = Tokenizer(BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>", continuing_subword_prefix=""))
    encoding.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(WORDS), "removed", invert=True)
    encoding.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return encoding
