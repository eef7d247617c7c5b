"""Cards that creators write: what is taken over, and that a hostile one is only a text."""

from __future__ import annotations

import time

import pytest

from registry.cards import MAX_HEAD, Card, metadata, read, split
from registry.formats.errors import FormatError

WHOLE = """---
license: apache-2.0
base_model:
  - someone/unknown
  - stabilityai/stable-diffusion-xl-base-1.0
tags: [Lora, Film grain, Lora]
instance_prompt: "paper lantern, night"
extra: {a: [1, 2]}
---

# Lantern

Warm.
"""


def test_a_card_is_read() -> None:
    words = ("paper lantern", "night")
    assert read(WHOLE.encode()) == Card("SDXL 1.0", "Apache-2.0", ("Lora", "Film grain"), words, "# Lantern\n\nWarm.")
    assert read(WHOLE.replace("\n", "\r\n").encode()).spdx == "Apache-2.0"


def test_a_text_without_metadata_is_all_words() -> None:
    assert read(b"Just words") == Card(description="Just words")
    assert split("---\nnot closed") == ("", "---\nnot closed")


def test_a_base_model_in_this_hubs_words_is_taken_and_any_other_is_not() -> None:
    assert read(b"---\nbase_model: Pony\n---\n").base_model == "Pony"
    assert read(b"---\nbase_model: my own thing\n---\n").base_model == ""


@pytest.mark.parametrize("licence", ["other", "unknown", "<script>", "[]", "a b"])
def test_a_licence_that_is_none_is_left_out(licence: str) -> None:
    assert read(f"---\nlicense: {licence}\n---\n".encode()).spdx == ""


@pytest.mark.parametrize(
    "head",
    [
        "a: !!python/object/apply:os.system [true]\nb: [",
        "a: &x [1]\nb: *x",
        "- a\n- b",
        "just text",
        "a: {b",
        "[" * 10_000,
        "x" * (MAX_HEAD + 1),
        "? [a]\n: b",
    ],
    ids=["tag", "alias", "list", "text", "open", "deep", "long", "key"],
)
def test_metadata_that_is_none_says_what_is_wrong(head: str) -> None:
    with pytest.raises(FormatError, match="README"):
        metadata(head)
    assert read(f"---\n{head}\n---\nwords".encode()) == Card()


def test_tags_of_yaml_make_texts_and_nothing_else() -> None:
    assert metadata("a: !!python/name:os.system x\nb: 2026-01-01\nc: 1") == {"a": "x", "b": "2026-01-01", "c": "1"}


def test_the_longest_metadata_is_read_in_bounded_time() -> None:
    began = time.monotonic()
    metadata("a: [" + "1, " * 6_000 + "1]")
    assert time.monotonic() - began < 5


def test_hidden_characters_stay_out_of_tags_and_words() -> None:
    card = read(b'---\ntags: [ok, "a\\u202eb"]\ninstance_prompt: "w\\u200bx, fine"\n---\n')
    assert (card.tags, card.trigger_words) == (("ok",), ("fine",))
