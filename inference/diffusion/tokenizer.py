"""CLIP's byte pair encoding: text to token numbers. Free of torch. It knows no prompt syntax, no chunks and no weights.

The vocabulary is OpenAI's (MIT), taken from the file that the open_clip_torch package ships; the package itself is never imported.
Rules: OpenAI CLIP `simple_tokenizer.py`, transformers `CLIPTokenizer`. Texts are not repaired (ftfy), as transformers does not either.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

PACKAGE, FILE = "open_clip", "bpe_simple_vocab_16e6.txt.gz"
SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
MERGES = 49_152 - 256 - 2
"""Lines of the file that count: OpenAI's vocabulary is what fits 49,408 tokens."""
START, END = 49_406, 49_407
COMMA = 267
"""The token `,</w>`."""
LENGTH, ROOM = 77, 75
"""Tokens of one chunk, with and without its start and its end."""
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class VocabularyMissing(RuntimeError):
    """The installation lacks CLIP's vocabulary, or has another one: no fault of any uploaded file."""


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
    vocabulary, merges = _vocabulary(_file())
    encoding = Tokenizer(BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>", continuing_subword_prefix=""))
    encoding.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(WORDS), "removed", invert=True)
    encoding.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return encoding


def _file() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise VocabularyMissing(f"{PACKAGE} is not installed, which brings CLIP's vocabulary")
    return Path(spec.submodule_search_locations[0]) / FILE


def _vocabulary(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Tokens by number (bytes, bytes that end a word, merges, start and end) and the merges in their order."""
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise VocabularyMissing(f"{path.name} is not the vocabulary that CLIP was trained with")
    lines = gzip.decompress(raw).decode("utf-8").split("\n")[1 : MERGES + 1]
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    letters = _letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(first + second for first, second in merges)]
    return {token: number for number, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}, merges


def _letters() -> list[str]:
    """The 256 bytes as printable characters in CLIP's order: those that print as themselves first, then the others, moved up."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + number) for number in range(len(others))]
