"""What a shot may ask for at most."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inference.diffusion.bounds import MAX_SEED, check_shot
from inference.diffusion.jobs import AddOn, Shot
from registry.formats.errors import FormatError

SHOT = Shot("a red circle")


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("steps", {"steps": 0}),
        ("steps", {"steps": 151}),
        ("steps", {"steps": 2.5}),
        ("size", {"width": 4097}),
        ("size", {"height": 0}),
        ("size", {"height": -512}),
        ("seed", {"seed": 2**64}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 10**400}),
        ("seed", {"seed": 1.5}),
        ("seed", {"seed": "abc"}),
        ("seed", {"seed": True}),
        ("cfg", {"cfg_scale": 10**400}),
        ("cfg", {"cfg_scale": None}),
        ("cfg", {"cfg_scale": float("nan")}),
        ("cfg", {"cfg_scale": 1e9}),
        ("clip-skip", {"clip_skip": 0}),
        ("clip-skip", {"clip_skip": 13}),
        ("sampler", {"sampler": "Moonwalk"}),
        ("schedule", {"schedule": "Moonlight"}),
        ("prompt-too-long", {"prompt": "a" * 20_000}),
        ("network", {"negative_prompt": "<lora:a:b>"}),
        ("strength", {"addons": (AddOn(1, float("inf")),)}),
        ("strength", {"addons": (AddOn(1, 1.0, 1e4),)}),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_a_sentence(code: str, asked: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as refused:
        check_shot(replace(SHOT, **asked))
    assert refused.value.code == f"render:{code}"
    assert refused.value.sentence.endswith(".")


@pytest.mark.parametrize("asked", [{}, {"seed": MAX_SEED}, {"steps": 1}, {"steps": 150}, {"width": 64, "height": 4096}, {"cfg_scale": 0.0}])
def test_the_bounds_themselves_are_taken(asked: dict[str, Any]) -> None:
    check_shot(replace(SHOT, **asked))
