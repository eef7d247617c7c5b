"""A1111's prompt language: known answers of its own parser, and text that nobody means well with."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.diffusion.prompts import FIRST_ALTERNATIVE, MAX_WEIGHT, PLAIN_AND, Network, parse
from registry.formats.errors import FormatError, LimitExceeded


def weighed(text: str) -> list[tuple[str, float]]:
    """The pieces of a prompt without BREAK, weights to six places."""
    (section,) = parse(text).sections
    return [(piece.text, round(piece.weight, 6)) for piece in section]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("normal text", [("normal text", 1.0)]),
        ("(important)", [("important", 1.1)]),
        ("((very))", [("very", 1.21)]),
        ("[less]", [("less", 0.909091)]),
        ("(word:1.3)", [("word", 1.3)]),
        ("(word:.5)", [("word", 0.5)]),
        ("(word : 0)", [("word ", 0.0)]),
        ("(word:-1.5)", [("word", -1.5)]),
        ("((a:1.2) b)", [("a", 1.32), (" b", 1.1)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        ("unbalanced)", [("unbalanced)", 1.0)]),
        ("[unbalanced", [("unbalanced", 0.909091)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        (r"a \\ b", [("a \\ b", 1.0)]),
        ("a\\", [("a\\", 1.0)]),
        (r"(a\))", [("a)", 1.1)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("a:1.3)", [("a:1.3)", 1.0)]),
        ("ratio 16:9", [("ratio 16:9", 1.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 0.909091)]),
        ("", [("", 1.0)]),
        ("()", [("", 1.0)]),
        ("(((", [("", 1.0)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
    ],
)
def test_brackets_weigh_as_in_a1111(text: str, pieces: list[tuple[str, float]]) -> None:
    assert weighed(text) == pieces


def test_a_square_bracket_in_a_round_one_gives_exactly_one() -> None:
    assert parse("([a])").sections[0][0].weight == 1.0


def test_break_parts_sections_wherever_it_stands() -> None:
    texts = [[piece.text.strip() for piece in section] for section in parse("a, BREAK b (c BREAK d) BREAKFAST break").sections]
    assert texts == [["a,"], ["b", "c"], ["d", "BREAKFAST break"]]
    assert [len(section) for section in parse("BREAK").sections] == [1, 1]
    assert parse("(a BREAK b:1.4)").sections[1][0].weight == 1.4


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("a <lora:ink>", [Network("lora", "ink", 1.0, 1.0)]),
        ("a <lora:ink:0.8>", [Network("lora", "ink", 0.8, 0.8)]),
        ("<lora:ink:0.5:1.2> a", [Network("lora", "ink", 1.2, 0.5)]),
        ("<lora:ink:te=0:unet=.7>", [Network("lora", "ink", 0.7, 0.0)]),
        ("<lora:ink:0.4:unet=-1>", [Network("lora", "ink", -1.0, 0.4)]),
        ("<lyco:moss v2:0.6>", [Network("lora", "moss v2", 0.6, 0.6)]),
        ("<HYPERNET:anime_3:0.3>", [Network("hypernet", "anime_3", 0.3, 0.3)]),
        ("<lora:a:1><lora:b:2>", [Network("lora", "a", 1.0, 1.0), Network("lora", "b", 2.0, 2.0)]),
    ],
)
def test_extra_networks_are_taken_out_and_told(text: str, networks: list[Network]) -> None:
    prompt = parse(text)
    assert list(prompt.networks) == networks
    assert "<" not in prompt.text
    assert not any("<" in piece.text for section in prompt.sections for piece in section)


def test_other_extra_networks_are_left_out_and_said() -> None:
    prompt = parse("a <style:ink:1> b < c")
    assert prompt.text == "a  b < c"
    assert "<style:...>" in prompt.notes[0]


@pytest.mark.parametrize("strength", ["strong", "nan", "inf", "1e9", "1" * 400, "te=", "unet=x", "0.5:lots"])
def test_a_strength_that_is_none_is_refused_with_its_name(strength: str) -> None:
    with pytest.raises(FormatError) as refused:
        parse(f"<lora:ink:{strength}>")
    assert refused.value.code == "render:network"
    assert '"ink"' in refused.value.sentence


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a [cow|horse] in a field", "a cow in a field"),
        ("a [red:blue:0.5] ball", "a red ball"),
        ("a [:blue:10] ball", "a blue ball"),
        ("a [red::0.5] ball", "a red ball"),
        ("a [blue:0.25] ball", "a blue ball"),
        ("[[cow|horse]:sheep:0.3]", "cow"),
        ("[(a|b):c:5]", "a|b"),
        ("[a:b]", "a:b"),
        ("[a:b:c:3]", "a:b:c:3"),
        ("a | b", "a | b"),
    ],
)
def test_of_alternatives_the_first_is_rendered(text: str, kept: str) -> None:
    prompt = parse(text)
    assert prompt.text == text
    assert "".join(piece.text for piece in prompt.sections[0]) == kept
    assert (FIRST_ALTERNATIVE in prompt.notes) is (text not in ("[a:b]", "[a:b:c:3]", "a | b"))


def test_and_is_a_word_and_that_is_said() -> None:
    assert parse("a cat AND a dog").notes == (PLAIN_AND,)
    assert parse("SAND and LAND").notes == ()


def test_control_characters_go_and_every_script_stays() -> None:
    kept = "кошка 猫 👩‍🎨🏳️‍🌈 e\u0301, two\nlines\tand a tab"
    assert parse(f"\x00{kept}\x1b[31m\x7f\x85\ud800").text == f"{kept}[31m"
    assert parse("a\r\nb\rc").text == "a\nb\nc"


def test_ten_kilobytes_are_taken_and_more_is_refused() -> None:
    assert len(parse("a" * 10_240).text) == 10_240
    for text in ("a" * 10_241, "猫" * 4_000, "a" * 50_000_000):
        with pytest.raises(LimitExceeded, match="prompt-too-long"):
            parse(text)
    with pytest.raises(LimitExceeded, match="too-many-networks"):
        parse("<lora:a:1>" * 33)


HOSTILE = (
    "(",
    "[",
    "((a",
    "(a:",
    "[a|",
    "[:",
    "[a:b:",
    ":",
    "\\",
    "(a:1.1",
    "<lora:",
    "<",
    " ",
    "BREAK",
    ")",
    "1",
    "(1:" + "9" * 500,
    "🎨",
    "AND ",
)


@pytest.mark.parametrize("unit", HOSTILE, ids=range(len(HOSTILE)))
def test_ten_kilobytes_of_one_thing_take_no_time(unit: str) -> None:
    for ending in ("", "a:1)", "]" * 3_000, ")" * 3_000):
        text = unit * ((10_240 - len(ending)) // len(unit.encode()))
        began = time.process_time()
        prompt = parse(text + ending)
        assert time.process_time() - began < 3
        assert all(abs(piece.weight) <= MAX_WEIGHT for section in prompt.sections for piece in section)


@given(st.text(alphabet="ab()[]:|\\<>.,15 -\nBREAK", max_size=60))
def test_no_text_crashes_and_no_words_are_made_up(text: str) -> None:
    try:
        prompt = parse(text)
    except FormatError as refused:
        assert refused.code == "render:network"  # noqa: PT017  (only some texts are refused)
        return
    assert prompt.sections
    assert all(section for section in prompt.sections)
    assert len("".join(piece.text for section in prompt.sections for piece in section)) <= len(prompt.text)
