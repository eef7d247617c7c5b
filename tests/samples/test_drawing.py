"""What the family is trained on: the same seed draws the same picture, and a picture shows what its caption says."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from samples.drawing import COLOURS, SHAPES, Scene, Thing, caption, draw, imagine


def test_a_seed_draws_the_same_pictures_and_captions() -> None:
    def told(seed: int) -> tuple[str, str]:
        dice = np.random.RandomState(seed)
        scenes = [imagine(dice) for _ in range(6)]
        pictures = hashlib.sha256(b"".join(draw(scene).tobytes() for scene in scenes)).hexdigest()
        return pictures, " / ".join(caption(scene, dice) for scene in scenes)

    assert told(3) == told(3)
    assert told(3) != told(4)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_its_colour_inside_and_the_backgrounds_around(shape: str) -> None:
    picture = draw(Scene((Thing(shape, "red", 64, 64, 40),), "blue"))
    red = np.all(picture == COLOURS["red"], axis=2)
    blue = np.all(picture == COLOURS["blue"], axis=2)
    assert 0.05 < red.mean() < 0.45
    assert blue[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    assert (red | blue).mean() > 0.93, "only edges mix"


def test_shapes_differ_from_each_other() -> None:
    drawn = {shape: np.all(draw(Scene((Thing(shape, "red", 64, 64, 40),), "blue")) == COLOURS["red"], axis=2) for shape in SHAPES}
    for one in SHAPES:
        for other in SHAPES:
            if one < other:
                assert (drawn[one] != drawn[other]).mean() > 0.03, (one, other)


def test_scenes_never_hide_a_thing_in_its_background() -> None:
    dice = np.random.RandomState(8)
    for _ in range(300):
        scene = imagine(dice)
        assert scene.background not in {thing.colour for thing in scene.things}


def test_captions_count_and_place_what_is_drawn() -> None:
    dice = np.random.RandomState(9)
    words = {2: "two", 3: "three", 4: "four"}
    for scene in (imagine(dice) for _ in range(300)):
        text = caption(scene, dice)
        first, last = scene.things[0], scene.things[-1]
        if first.shape != last.shape:
            assert (" above " in text) == (last.y - first.y > 30)
            assert text.index(first.shape) < text.index(last.shape)
        elif len(scene.things) > 1:
            assert text.startswith(words[len(scene.things)])
            assert f"{first.shape}s" in text or "crosses" in text
