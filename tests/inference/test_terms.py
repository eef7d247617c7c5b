"""What a merge may be given on under: the strictest of its inputs, nobody's permissions widened, one's own work one's own affair."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from inference.terms import NotAllowed, Part, Terms, check_target, in_words, joined

OPEN = Terms(allow_commercial_use=("Image", "Rent", "Sell"))
STRICT = Terms("private", 16, False, (), True, True, "")


def own(**columns: Any) -> Part:
    return Part("Mine", replace(OPEN, **columns), own=True)


def others(name: str = "Theirs", **columns: Any) -> Part:
    return Part(name, replace(OPEN, **columns), own=False)


def entry(**columns: Any) -> Any:
    return SimpleNamespace(name="Target", **replace(OPEN, **columns).to_json())


TABLE = [
    ("visibility", ("public", "public"), "public"),
    ("visibility", ("public", "unlisted"), "unlisted"),
    ("visibility", ("private", "unlisted"), "private"),
    ("rating", (1, 8), 8),
    ("allow_no_credit", (True, True), True),
    ("allow_no_credit", (True, False), False),
    ("allow_commercial_use", (("Image", "Sell"), ("Image", "Rent")), ("Image",)),
    ("allow_commercial_use", (("Image",), ()), ()),
    ("spdx", ("MIT", "MIT"), "MIT"),
    ("spdx", ("", "MIT"), "MIT"),
    ("spdx", ("", ""), ""),
    ("spdx", ("MIT", "CreativeML-OpenRAIL-M"), "MIT AND CreativeML-OpenRAIL-M"),
    ("spdx", ("MIT OR Apache-2.0", "CC0-1.0"), "(MIT OR Apache-2.0) AND CC0-1.0"),
    ("spdx", ("x" * 50, "y" * 50), ""),
]


@pytest.mark.parametrize(("column", "values", "result"), TABLE)
@pytest.mark.parametrize("who", [(own, own), (own, others), (others, own), (others, others)])
def test_the_strictest_of_the_inputs_holds(column: str, values: tuple[Any, Any], result: Any, who: Any) -> None:
    first, second = (make(**{column: value}) for make, value in zip(who, values, strict=True))
    assert getattr(joined([first, second]), column) == result


def test_one_input_alone_hands_on_what_it_has() -> None:
    assert joined([Part("a", STRICT, own=False)]) == STRICT
    assert joined([Part("a", OPEN, own=True)]) == OPEN


def test_somebody_elses_model_that_allows_no_merges_is_refused_with_its_name() -> None:
    with pytest.raises(NotAllowed, match="Sealed must not be merged") as caught:
        joined([own(), others("Sealed", allow_derivatives=False)])
    assert (caught.value.code, caught.value.status) == ("merge:no-derivatives", 403)


def test_ones_own_model_may_be_merged_whatever_it_allows_others() -> None:
    assert joined([own(allow_derivatives=False), others()]).allow_derivatives is False


def test_an_input_that_keeps_its_permissions_forces_them_on_the_merge() -> None:
    fixed = {"allow_different_license": False, "allow_commercial_use": ("Image",), "allow_no_credit": False, "spdx": "MIT"}
    result = joined([others(**fixed), others(allow_commercial_use=("Image", "Sell")), own(allow_commercial_use=(), spdx="X")])
    assert result == replace(OPEN, **fixed)


def test_an_input_that_keeps_its_permissions_does_not_go_with_a_stricter_one() -> None:
    fixed = others("Fixed", allow_different_license=False)
    for column, value in (("allow_commercial_use", ("Image",)), ("allow_no_credit", False)):
        with pytest.raises(NotAllowed, match="Fixed may only be merged into what has exactly its own permissions") as caught:
            joined([fixed, others(**{column: value})])
        assert caught.value.code == "merge:licences-differ"


def test_two_inputs_that_keep_the_same_permissions_go_together() -> None:
    fixed = {"allow_different_license": False, "allow_commercial_use": ("Image",)}
    assert joined([others(**fixed), others(**fixed)]) == replace(OPEN, **fixed)


def test_ones_own_demands_bind_oneself_only_as_a_default() -> None:
    result = joined([own(allow_different_license=False, allow_no_credit=False), others(allow_commercial_use=("Image",))])
    assert (result.allow_different_license, result.allow_no_credit, result.allow_commercial_use) == (False, False, ("Image",))


LAXER = [
    ({"visibility": "unlisted"}, {}, "more visitors"),
    ({"allow_no_credit": False}, {}, "no demand to name the creators"),
    ({"allow_commercial_use": ("Image",)}, {}, "more commercial use"),
    ({"allow_different_license": False}, {}, "no demand to keep its permissions"),
    ({"allow_different_license": False}, {"allow_different_license": False, "allow_no_credit": False}, "other permissions"),
]


@pytest.mark.parametrize(("theirs", "target", "why"), LAXER)
def test_a_known_entry_must_not_allow_more_than_the_inputs_of_others(theirs: Any, target: Any, why: str) -> None:
    with pytest.raises(NotAllowed, match=why) as caught:
        check_target(entry(**target), [own(), others(**theirs)])
    assert caught.value.code == "merge:entry-permissions"
    check_target(entry(**target), [own(**theirs)])
    check_target(entry(**theirs), [others(**theirs)])


def test_a_stricter_entry_takes_what_may_be_made_stricter() -> None:
    check_target(entry(allow_commercial_use=(), allow_no_credit=False, visibility="private"), [others()])


def test_the_permissions_are_told_in_words() -> None:
    assert in_words(STRICT) == ("name the creators; no commercial use; merges of it may be shared; under other permissions too.")
    assert in_words(replace(OPEN, allow_derivatives=False, spdx="MIT")).endswith("merges of it may not be shared; licence MIT.")
