"""CLIP's vocabulary as the open_clip_torch package ships it: tokens by number, and merges in their order. It encodes no texts.

OpenAI's file (MIT), read from the installed package by path; the package itself is never imported, and neither is a tokenizer.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE, FILE = "open_clip", "bpe_simple_vocab_16e6.txt.gz"
SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
MERGES = 49_152 - 256 - 2
"""Lines of the file that count: OpenAI's vocabulary is what fits 49,408 tokens."""
START_WORD, END_WORD = "<|startoftext|>", "<|endoftext|>"

Vocabulary = tuple[dict[str, int], list[tuple[str, str]]]


class VocabularyMissing(RuntimeError):
    """The installation lacks CLIP's vocabulary, or has another one: no fault of any uploaded file."""


@cache
def installed() -> Vocabulary:
    """The vocabulary of this installation. Raises `VocabularyMissing`. Callers change nothing in it."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise VocabularyMissing(f"{PACKAGE} is not installed, which brings CLIP's vocabulary")
    return read(Path(spec.submodule_search_locations[0]) / FILE)


def read(path: Path) -> Vocabulary:
    """Tokens by number (bytes, bytes that end a word, merges, start and end) and the merges in their order."""
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise VocabularyMissing(f"{path.name} is not the vocabulary that CLIP was trained with")
    lines = gzip.decompress(raw).decode("utf-8").split("\n")[1 : MERGES + 1]
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    letters = _letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(first + second for first, second in merges)]
    return {token: number for number, token in enumerate([*tokens, START_WORD, END_WORD])}, merges


def _letters() -> list[str]:
    """The 256 bytes as printable characters in CLIP's order: those that print as themselves first, then the others, moved up."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + number) for number in range(len(others))]
