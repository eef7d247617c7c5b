"""Which shots show the same scene, whichever trigger words stand in them, and what is asked for to make the missing one."""

from __future__ import annotations

from typing import Any

import pytest

from inference import scenes
from inference.diffusion.jobs import AddOn
from inference.diffusion.jobs import Shot as Spec
from inference.diffusion.samplernames import resolve
from inference.models import Purpose
from inference.scenes import Scene
from inference.standardprompts import NEGATIVE, SCENES, SUBJECTS
from registry.models import Version
from tests.pictures import published_weights, rendered, specs, strengths

FOX = SCENES[2]


def spec(prompt: str, seed: int = 1003, **more: Any) -> dict[str, Any]:
    return Spec(prompt=prompt, width=512, height=512, seed=seed, **more).to_json()


@pytest.mark.parametrize("words", ["", "vixen, ", "vixen, (red:1.2), "])
def test_a_standard_scene_is_known_by_its_prompt_around_any_trigger_words(words: str) -> None:
    told = spec(f"a red fox sitting in fresh snow, {words}looking at the viewer, full body")
    assert scenes.scene_of(told) == Scene(FOX, 1003)
    assert scenes.scene_of({**told, "seed": 7}) != Scene(FOX, 1003), "another seed is another picture"


def test_a_standard_scene_whose_prompt_starts_with_the_word_is_known_too() -> None:
    assert scenes.scene_of(spec("easyface, portrait, soft window light", 1001)) == Scene(SUBJECTS[0], 1001)


def test_a_creators_own_prompt_is_its_own_scene() -> None:
    found = scenes.scene_of(spec("two cats", 1001))
    assert (found.prompt, found.standard) == ("two cats", False)
    assert found.is_of(spec("Two  cats", 1001))
    assert not found.is_of(spec("two cats and a dog", 1001))


def test_what_a_scene_fixes_must_be_the_same() -> None:
    scene = Scene("two cats", 1, {"steps": 8, "sampler_name": "Euler a", "negative_prompt": "dogs"})
    sampler, schedule = resolve("Euler a")
    told = spec("two cats", 1, steps=8, sampler=sampler, schedule=schedule, negative_prompt="dogs")
    assert scene.is_of(told)
    assert not [
        name for name, value in {"steps": 9, "sampler": "Euler", "negative_prompt": ""}.items() if scene.is_of({**told, name: value})
    ]


@pytest.mark.django_db
def test_of_an_add_on_the_picture_at_strength_one_stands_for_it(creator: Any) -> None:
    file = published_weights(creator, kind="lora")
    rendered(file, strengths(2, 64), labels=("strength 0", "strength 0.5", "strength 1"), base=published_weights(creator))
    found = scenes.previews_of([file.version])[file.version_id]
    assert [shot.label for shot in found] == ["strength 1", "strength 1"]


@pytest.mark.django_db
def test_own_pictures_at_another_strength_do_not_count(creator: Any) -> None:
    file, base = published_weights(creator, kind="lora"), published_weights(creator)
    for strength in (0.6, 1.0):
        weak = [Spec(prompt="two cats", width=64, height=64, seed=5, addons=(AddOn(file=1, strength=strength),))]
        rendered(file, weak, purpose=Purpose.TXT2IMG, owner=creator, base=base)
    found = scenes.own_of(creator, [file.version], [Scene("two cats", 5)])
    assert [shot.spec["addons"][0]["strength"] for shot in found] == [1.0]
    assert scenes.own_of(None, [file.version], [Scene("two cats", 5)]) == []


@pytest.mark.django_db
def test_the_request_for_a_standard_scene_is_what_the_previews_would_ask(creator: Any) -> None:
    file = published_weights(creator, kind="lora")
    Version.objects.filter(pk=file.version_id).update(trigger_words=["vixen"])
    file.version.refresh_from_db()
    asked = scenes.request_for(Scene(FOX, 1003), file.version)
    assert asked["prompt"] == "a red fox sitting in fresh snow, vixen, looking at the viewer, full body"
    assert (asked["seed"], asked["negative_prompt"]) == (1003, NEGATIVE)
    assert asked["loras"] == [{"version_id": file.version_id, "strength": 1.0}]


@pytest.mark.django_db
def test_the_newest_previews_that_are_done_stand_for_a_version(creator: Any) -> None:
    file = published_weights(creator)
    done = rendered(file, specs(2, 64))
    rendered(file, specs(2, 64), done=1)
    assert {shot.render_id for shot in scenes.previews_of([file.version])[file.version_id]} == {done.pk}
