"""The expressions of what to discard: as `re` understands them, without its worst cases."""

from __future__ import annotations

import random
import re
import time

import pytest

from inference.weights.merging.discard import Discard
from registry.formats.errors import FormatError

NAMES = [
    "model.diffusion_model.input_blocks.0.0.weight",
    "first_stage_model.encoder.conv_in.bias",
    "cond_stage_model.transformer.text_model.embeddings.position_ids",
    "model_ema.diffusion_modelout2weight",
    "betas",
    "",
    "a[0]{1}",
]
PATTERNS = [
    "model_ema", r"^model\.", r"\.bias$", "first_stage_model|position_ids", r"input_blocks\.[0-3]\.", r"(?:en|de)coder\.conv_(in|out)",
    r"[^a-z._0-9]", r"\d+\.\d", r"^$", ".", "^(betas|alphas).*$", r"\[0\]\{1\}", "e{2}", "e{1,2}d", "(e|b)+t", r"\W\w*$",
    r"[\d.]{3,}", "a??", "x*?",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_names_are_found_as_by_re(pattern: str) -> None:
    discard = Discard(pattern)
    assert [discard.finds(name) for name in NAMES] == [bool(re.search(pattern, name)) for name in NAMES]


def test_random_expressions_are_understood_as_by_re() -> None:
    dice = random.Random(7)

    def expression(depth: int = 0) -> str:
        kind = dice.random()
        if depth > 3 or kind < 0.4:
            return dice.choice(["a", "b", ".", "_", r"\.", "[ab]", "[^a]", r"\d", "1", "[a-c1]", "^", "$", r"\W"])
        if kind < 0.6:
            return expression(depth + 1) + expression(depth + 1)
        if kind < 0.75:
            return f"({dice.choice(['', '?:'])}{expression(depth + 1)}|{expression(depth + 1)})"
        return f"(?:{expression(depth + 1)})" + dice.choice(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?", "{0}", "{0,}"])

    for _ in range(1500):
        pattern = expression()
        discard = Discard(pattern)
        for _ in range(8):
            name = "".join(dice.choice("ab.1_c") for _ in range(dice.randint(0, 7)))
            assert discard.finds(name) == bool(re.search(pattern, name)), (pattern, name)


def test_nothing_is_found_by_nothing() -> None:
    assert not Discard("").finds("anything")


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(.*)*x", "((a*)*)*b", "a*a*a*a*a*a*a*a*b", "(?:a{1,20}){1,20}$"])
def test_what_makes_re_run_for_years_takes_no_time(pattern: str) -> None:
    begun = time.process_time()
    assert not Discard(pattern).finds("a" * 1000 + "!")
    assert time.process_time() - begun < 2


def test_names_made_for_an_expression_are_given_up_in_time() -> None:
    dice = random.Random(3)
    name = "".join(dice.choice("ab") for _ in range(200_000))
    discard = Discard("a" + ".{50}" * 4 + "Q")  # which of the last 200 characters were an a: every state is a new one
    begun = time.process_time()
    with pytest.raises(FormatError, match="it takes too long to search these names") as caught:
        discard.finds(name)
    assert caught.value.code == "merge:discard"
    assert time.process_time() - begun < 5


def test_the_names_of_a_large_model_are_searched_to_the_end() -> None:
    names = [f"model.diffusion_model.output_blocks.{n % 9}.1.transformer_blocks.{n}.attn1.to_q.weight" for n in range(50_000)]
    discard = Discard(r"(?:in|out)put_blocks\.\d+\.[01]\..*attn[12]\.to_[qk].*$")
    assert all(map(discard.finds, names))


@pytest.mark.parametrize(
    "pattern",
    ["a" * 201, "(", ")", "a)", "(a", "[a", "*", "a**", "a*{2}", "\\", r"\1", r"\b",
     r"(a)\1", "(?=a)", "(?i)a", "(?P<x>a)", "a{51}", "a{3,2}",
     "a{", "a{x}", "[z-a]", "(" * 21 + ")" * 21, "((a{40}){40}){40}", "a++", "a|*"],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_sentence(pattern: str) -> None:
    with pytest.raises(FormatError, match="The expression of what to discard cannot be used: ") as caught:
        Discard(pattern)
    assert caught.value.code == "merge:discard"
