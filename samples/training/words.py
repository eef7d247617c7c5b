"""Which tokens the family knows, and captions as rows of its table. The vocabulary is CLIP's own, read from the installed wheel."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from samples.drawing import COLOURS, SHAPES
from samples.training.textencoder import LENGTH, VOCABULARY

START, END = VOCABULARY - 2, VOCABULARY - 1
SENTENCES = ("a an on and above background , two three four small large outlined shaded", " ".join(COLOURS), " ".join(SHAPES))
PLURALS = "circles squares triangles stars hearts rings moons crosses"


@cache
def tokenizer() -> Any:
    """CLIP's tokenizer; its merges lie in the open_clip wheel, which is not imported."""
    from transformers import CLIPTokenizer

    spec = find_spec("open_clip")
    places = spec.submodule_search_locations if spec else None
    assert places, "the CLIP vocabulary is missing: install requirements-clip.txt"
    packed = Path(places[0]) / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(packed.read_bytes()).decode().split("\n")[1 : VOCABULARY - 512 - 2 + 1]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in printable]
    alphabet = [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(hidden))]
    merges = [tuple(line.split()) for line in lines]
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=merges, model_max_length=LENGTH)


def tokens_of(text: str) -> list[int]:
    """Token numbers of a text, without start and end."""
    return list(tokenizer()(text, add_special_tokens=False).input_ids)


@cache
def known() -> tuple[int, ...]:
    """The token numbers that are trained, in the order of the table's rows from 1."""
    text = tokens_of(" ".join((*SENTENCES, PLURALS)))
    return (START, END, *dict.fromkeys(text))


@cache
def _row(token: int) -> int:
    return known().index(token) + 1 if token in known() else 0


@cache
def _rows_of_word(word: str) -> tuple[int, ...]:
    return tuple(_row(token) for token in tokens_of(word))


def rows(text: str, added: dict[str, list[int]] | None = None) -> list[int]:
    """A caption as 77 rows of the table: start, words, end, and ends to fill; unknown words are row 0. `added`: rows of new words."""
    more = added or {}
    words = [row for word in text.replace(",", " , ").split() for row in more.get(word) or _rows_of_word(word)][: LENGTH - 2]
    return [_row(START), *words, *[_row(END)] * (LENGTH - 1 - len(words))]
