"""What a file's metadata says it was merged from: read as A1111 writes it, and bounded whatever it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.merged import MAX_MODELS, MAX_NAME, Stated, shares, stated

A, B, C = "a" * 64, "b" * 64, "c" * 64


def recipe(**more: Any) -> dict[str, Any]:
    return {"type": "webui", "primary_model_hash": A, "secondary_model_hash": B, "interp_method": "Weighted sum", "multiplier": 0.3, **more}


def metadata(said: Any, models: Any = None) -> dict[str, str]:
    return {"sd_merge_recipe": json.dumps(said), "sd_merge_models": json.dumps(models or {})}


def test_a_weighted_sum_gives_names_hashes_and_shares() -> None:
    found = stated(metadata(recipe(), {A: {"name": "Alpha.safetensors"}, B: {"name": "Beta"}}))
    assert found == [Stated("a", "Alpha.safetensors", A, 70), Stated("b", "Beta", B, 30)]


def test_an_added_difference_takes_from_c() -> None:
    found = stated(metadata(recipe(tertiary_model_hash=C, interp_method="Add difference", multiplier=1.0)))
    assert [(one.role, one.share) for one in found] == [("a", 100), ("b", 100), ("c", -100)]


def test_parents_have_parents() -> None:
    inner = recipe(primary_model_hash=C, secondary_model_hash=None, interp_method="No interpolation")
    [first, _] = stated(metadata(recipe(), {A: {"name": "Alpha", "sd_merge_recipe": inner}, C: {"name": "Gamma"}}))
    assert first.parents == (Stated("a", "Gamma", C, 100),)


def test_without_a_recipe_modelspec_gives_names() -> None:
    assert stated({"modelspec.merged_from": "Alpha, Beta"}) == [Stated("", "Alpha"), Stated("", "Beta")]


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000,
        "{" + '"a":' * 50_000,
        '{"primary_model_hash": 3}',
        '{"primary_model_hash": "x"}',
        "null",
        '{"a": NaN}',
        "{" + " " * (1 << 20) + "}",
    ],
)
def test_what_is_no_recipe_says_nothing(said: str) -> None:
    assert stated({"sd_merge_recipe": said, "sd_merge_models": said}) == []


def test_a_model_that_is_its_own_parent_ends() -> None:
    found = stated(metadata(recipe(), {A: {"sd_merge_recipe": recipe()}, B: {"sd_merge_recipe": recipe()}}))

    def count(models: Any) -> int:
        return sum(1 + count(one.parents) for one in models)

    assert count(found) <= MAX_MODELS


@pytest.mark.parametrize("multiplier", [float("nan"), float("inf"), 1e300, "0.5", None, True])
def test_odd_multipliers_are_none(multiplier: Any) -> None:
    assert [one.share for one in stated(metadata(recipe(multiplier=multiplier)))] == [100, 0]


def test_names_are_cut_and_plain() -> None:
    [first, _] = stated(metadata(recipe(), {A: {"name": "x\u202e" * 500}}))
    assert len(first.name) == MAX_NAME
    assert "\u202e" not in first.name


def test_unknown_methods_have_no_shares() -> None:
    assert shares("dreamy", 0.5) == {}
