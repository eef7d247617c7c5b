"""CLIP's tokens: the numbers that OpenAI's own tokenizer gives, and the same as transformers' for awkward texts."""

from __future__ import annotations

import random

import pytest

from inference.diffusion import vocabulary
from inference.diffusion.tokenizer import ClipTokenizer
from inference.diffusion.vocabulary import VocabularyMissing, installed


def test_known_numbers() -> None:
    clip = ClipTokenizer()
    assert clip.encode("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert clip.encode("") == []
    assert clip.encode(",") == [clip.comma]
    assert clip.word(2368) == "cat</w>"


def test_a_chunk_is_framed_and_filled_up() -> None:
    assert ClipTokenizer().framed([320, 2368]) == [49406, 320, 2368] + [49407] * 74
    assert ClipTokenizer(pad=0).framed([320]) == [49406, 320, 49407] + [0] * 74
    long = ClipTokenizer().framed(list(range(200)))
    assert (len(long), long[75], long[76]) == (77, 74, 49407)


TEXTS = [
    "Ünïcode’s 1girl, (masterpiece:1.2) <lora:x:0.8> 日本語 it's  spaced",
    "don't WE'LL they've\tI'm\n\nhe'd",
    "👩‍👩‍👧‍👦 🎨🎨 ½ ²  a1b2c3",
    "<|endoftext|> and <|startoftext|> in a text",
    "   ",
    "x" * 500,
    "\u0000\u200b\ufeff control",
    "e\u0301 vs \u00e9, ＦＵＬＬ ｗｉｄｔｈ",
]


def test_awkward_texts_give_what_transformers_gives() -> None:
    from transformers import CLIPTokenizer

    tokens, merges = installed()
    theirs = CLIPTokenizer(vocab=tokens, merges=merges, model_max_length=77)
    dice = random.Random(5)
    letters = "abcXYZ 0123,.:;()[]'\"<>|_-éßñ日本🎨\n"
    texts = TEXTS + ["".join(dice.choice(letters) for _ in range(40)) for _ in range(200)]
    special = [text for text in texts if "<|" not in text]
    assert [ClipTokenizer().encode(text) for text in special] == [theirs(text, add_special_tokens=False).input_ids for text in special]


def test_words_that_look_like_marks_end_no_text() -> None:
    """A prompt cannot place the end itself: the marks are letters and signs like any other."""
    assert not {49406, 49407} & set(ClipTokenizer().encode("<|endoftext|> <|startoftext|>"))


def test_many_texts_at_once_are_the_same_as_one_by_one() -> None:
    assert ClipTokenizer().encode_many(TEXTS) == [ClipTokenizer().encode(text) for text in TEXTS]


def test_another_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "SHA256", "0" * 64)
    with pytest.raises(VocabularyMissing):
        installed.__wrapped__()


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(VocabularyMissing):
        installed.__wrapped__()
