"""Recipes: what may be asked, how it survives JSON, and what is said of nonsense."""

from __future__ import annotations

import json
import math

import pytest

from inference.weights.merging.recipe import MergeRecipe
from registry.formats.errors import FormatError


def test_a_recipe_survives_json() -> None:
    recipe = MergeRecipe(
        method="add_difference", multiplier=0.35, precision="fp16", blocks=(0.1,) * 26, vae=True, loras=(0.5, -1.0), discard="^betas",
        copied_too=False, metadata="a1111", copy_metadata=False, name="ü test",
    )  # fmt: skip
    assert MergeRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_defaults_fill_what_is_not_said() -> None:
    assert MergeRecipe.from_json({"method": "slerp"}) == MergeRecipe(method="slerp")


@pytest.mark.parametrize(
    ("recipe", "roles"),
    [
        (MergeRecipe(), ("a", "b")),
        (MergeRecipe(method="add_difference", vae=True), ("a", "b", "c", "vae")),
        (MergeRecipe(method="no_interpolation", loras=(1.0, 0.5)), ("a", "lora0", "lora1")),
    ],
)
def test_the_inputs_that_a_recipe_needs(recipe: MergeRecipe, roles: tuple[str, ...]) -> None:
    assert recipe.roles == roles


@pytest.mark.parametrize(
    "data",
    [
        None, [], "weighted_sum", {"method": "sum"}, {"method": None}, {"method": []}, {"multiplier": "0.5"}, {"multiplier": True},
        {"multiplier": math.nan}, {"multiplier": math.inf}, {"multiplier": 10.01}, {"multiplier": 10**400}, {"loras": [-(10**400)]},
        {"precision": "fp8"},
        {"blocks": [0.5] * 24},
        {"blocks": 0.5}, {"blocks": ["0"] * 25}, {"blocks": [math.nan] * 25}, {"blocks": [0.5] * 25, "method": "no_interpolation"},
        {"loras": [1.0] * 17}, {"loras": [None]}, {"loras": "1"}, {"vae": 1}, {"copied_too": "yes"}, {"metadata": "all"},
        {"name": "x" * 201}, {"name": "a\0b"}, {"name": None}, {"discard": None}, {"discard": "("}, {"surprise": 1}, {1: 2},
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_a_sentence(data: object) -> None:
    with pytest.raises(FormatError) as caught:
        MergeRecipe.from_json(data)
    assert caught.value.code in {"merge:recipe", "merge:discard"}
    assert caught.value.sentence.endswith(".")
