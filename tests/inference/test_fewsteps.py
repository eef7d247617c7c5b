"""Distilled models are rendered with few steps, by what they are called; what their creators recommend goes before it."""

from __future__ import annotations

from typing import Any

import pytest

from inference import fewsteps, recipes
from registry.models import Blob
from tests.factories import VersionFactory
from tests.renderable import checkpoint_shapes, file_of, planned, specs

pytestmark = pytest.mark.django_db
LIGHTNING = {"sampler": "Euler", "schedule": "SGM Uniform", "cfg_scale": 1.0}


def version(entry: str, kind: str = "checkpoint", **more: Any) -> Any:
    return VersionFactory(entry__name=entry, entry__kind=kind, **{"name": "v1", "base_model": "SDXL 1.0", **more})


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"entry": "Dreamer LCM"}, {"sampler": "LCM", "schedule": "Automatic", "steps": 6, "cfg_scale": 1.5}),
        ({"entry": "DreamTurboXL"}, {"sampler": "Euler a", "schedule": "Normal", "steps": 6, "cfg_scale": 1.5}),
        ({"entry": "Dreamer", "name": "lightning_4step"}, {**LIGHTNING, "steps": 4}),
        ({"entry": "Dreamer", "base_model": "SDXL Hyper"}, {**LIGHTNING, "steps": 8}),
        ({"entry": "Dreamer", "base_model": "SD 3.5 Large Turbo"}, {"steps": 6, "cfg_scale": 1.5}),
        ({"entry": "lcm-lora-sdv1-5", "kind": "lora"}, {"sampler": "LCM", "schedule": "Automatic", "steps": 6, "cfg_scale": 1.5}),
        ({"entry": "Lightning 40 steps"}, {**LIGHTNING, "steps": 6}),
        ({"entry": "Lightning bolts", "kind": "lora"}, {}),
        ({"entry": "Turbofan engines"}, {}),
        ({"entry": "Hyperrealism"}, {}),
        ({"entry": "Paper Lanterns"}, {}),
    ],
)
def test_what_is_called_distilled_gets_few_steps(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert fewsteps.usual(version(**found)) == wanted


def test_what_the_creator_recommends_goes_before_it() -> None:
    usual = recipes.recommended(version("Dreamer Turbo", steps=7, sampler="DPM++ SDE Karras"))
    assert (usual["sampler"], usual["schedule"], usual["steps"], usual["cfg_scale"]) == ("DPM++ SDE", "Karras", 7, 1.5)


def test_previews_follow_the_files_metadata(creator: Any) -> None:
    file = file_of(creator, checkpoint_shapes(), name="lantern.safetensors")
    assert {row["steps"] for row in specs(planned(file))} == {20}
    blob = Blob.objects.get(pk=file.blob_id)
    blob.detected["training"] = {"title": "Lantern LCM"}
    blob.save()
    assert {(row["sampler"], row["steps"], row["cfg_scale"]) for row in specs(planned(file))} == {("LCM", 6, 1.5)}
