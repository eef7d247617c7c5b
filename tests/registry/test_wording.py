"""Words of a text: one spelling for many ways of writing, and nothing in them that means anything to PostgreSQL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import wording


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DreamShaper XL v1.0", ["dreamshaper", "xl", "v1", "0"]),
        ("Café Ｎｏｉｒ ﬁne Straße", ["cafe", "noir", "fine", "strasse"]),
        ("水墨画LoRA", ["水", "墨", "画", "lora"]),
        ("한국 ไทย", ["한", "국", "ไ", "ท", "ย"]),
        ("हिन्दी", ["हिन्दी"]),
        ("v1-5-pruned_ema.safetensors", ["v1", "5", "pruned", "ema", "safetensors"]),
        ("\x00🔥\ud800'\\:*&|!()", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert wording.words(text) == expected


def test_names_are_also_known_by_their_parts_and_joined() -> None:
    assert wording.parts("DreamShaper") == ["dream", "shaper"]
    assert "dreamshaper" in wording.parts("Dream Shaper")
    assert "sdxl" in wording.parts("sdxl10")


def test_a_question_in_pieces() -> None:
    assert wording.terms('"paper lantern" -ink night') == [
        wording.Term(("paper", "lantern")),
        wording.Term(("ink",), unwanted=True),
        wording.Term(("night",)),
    ]
    assert sum(len(term.words) for term in wording.terms("a " * 100)) == wording.MAX_WORDS


@given(st.text(st.characters(), max_size=80))
def test_words_hold_nothing_that_means_anything_to_postgresql(text: str) -> None:
    for word in [*wording.words(text), *wording.parts(text), *(word for term in wording.terms(text) for word in term.words)]:
        assert 0 < len(word) <= wording.MAX_WORD
        assert not re.search(r"['\\:*&|!()<>\s\x00\ud800-\udfff]", word)


@given(st.text(max_size=60))
def test_words_of_words_are_the_same(text: str) -> None:
    assert wording.words(" ".join(wording.words(text))) == wording.words(text)
