"""Typing errors are mended by words that the visitor could find, and by no others."""

from __future__ import annotations

from typing import Any

import pytest

from registry import catalog, queries, spelling
from registry.models import SearchWord
from tests.registry.test_search import published

pytestmark = pytest.mark.django_db


def meant(text: str, *, cap: int = 2, begun: bool = False) -> str:
    return spelling.meant(queries.listed().filter(rating__lte=cap), text, begun=begun)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("lantren", "lantern"),
        ("lnatern", "lantern"),
        ("latern", "lantern"),
        ("lanterm", "lantern"),
        ("flxu", "flux"),
        ("harbuor nigth", "harbour night"),
        ("papre -ink", "paper -ink"),
        ('"papper lantern"', '"paper lantern"'),
        ("glowstlye", "glowstyle"),
        ("paper-lantrens", "paper lanterns"),
    ],
)
def test_errors_are_mended(creator: Any, typed: str, expected: str) -> None:
    published(creator, "Paper Lantern", words=("glowstyle",), tags=["flux", "lanterns"])
    published(creator, "Harbour at night")
    assert meant(typed) == expected


@pytest.mark.parametrize(
    "typed", ["lantern", "lant", "zzzzzz", "papre xqxqxq", "deadbeef00", "", "%%%", "山山", "ab", "lantern zzzzzz", "12345678x"]
)
def test_what_is_known_or_like_nothing_stays(creator: Any, typed: str) -> None:
    published(creator, "Paper Lantern")
    assert meant(typed) == ""


def test_of_several_the_one_that_most_have(creator: Any) -> None:
    published(creator, "cart")
    for number in range(3):
        published(creator, f"card {number}")
    assert meant("carx") == "card"


def test_a_beginning_is_mended_while_it_is_typed(creator: Any) -> None:
    published(creator, "Lighthouse")
    assert (meant("lihgtho", begun=True), meant("lihgtho")) == ("lighthouse", "")


@pytest.mark.parametrize("hidden", ["private", "unlisted", "draft", "rating", "description of a draft", "deleted"])
def test_words_out_of_sight_are_never_offered(creator: Any, hidden: str) -> None:
    if hidden == "description of a draft":
        entry = published(creator, "Open").entry
        catalog.create_version(entry, name="zanzibar", base_model="", trigger_words=["zanzibar"])
    elif hidden == "draft":
        catalog.create_entry(creator, name="zanzibar", kind="lora")
    else:
        fields = {"rating": 8} if hidden == "rating" else {"visibility": hidden} if hidden in {"private", "unlisted"} else {}
        entry = published(creator, "zanzibar", **fields).entry
        if hidden == "deleted":
            catalog.delete_entry(entry)
    SearchWord.objects.create(word="zanzibar")
    assert meant("zanzibra") == ""
    if hidden == "rating":
        assert meant("zanzibra", cap=8) == "zanzibar"


def test_distance() -> None:
    pairs = [("", ""), ("a", ""), ("abc", "abc"), ("abc", "acb"), ("abcd", "bacx"), ("kitten", "sitting")]
    assert [spelling.distance(one, other) for one, other in pairs] == [0, 1, 0, 1, 2, 3]
