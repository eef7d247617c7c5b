"""A version that is SDXL's refiner: rendered over a base beside the base alone, and never shown as a picture that it did not make."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hub.web.renderforms import PreviewForm
from inference import previewbases, previews, renderfiles, renders
from inference.models import FamilyBase, PreviewPlan, PreviewSettings
from inference.renderlimits import NoRender
from registry.models import File
from tests.inference.diffusion.test_families import refiner_shapes, sdxl_shapes
from tests.renderable import checkpoint_shapes, file_of, lora_shapes, planned

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def asked_for(settings: Any) -> None:
    settings.PREVIEWS = True


@pytest.fixture
def refiner(creator: Any) -> File:
    return file_of(creator, refiner_shapes(), name="finisher.safetensors", size_bytes=600)


@pytest.fixture
def xl(moderator: Any) -> File:
    return file_of(moderator, sdxl_shapes(), name="xl.safetensors", size_bytes=700)


def test_it_waits_until_there_is_a_base_of_its_family(creator: Any, moderator: Any, refiner: File, xl: File) -> None:
    plan = previews.want(refiner.version)
    assert (plan.render, plan.code, previews.status(refiner.version).kind) == (None, "preview:no-base", "waiting")
    assert plan.sentence == "There is no base of the family SDXL to render it on: its owner can name one, or the admin a default."
    FamilyBase.objects.create(family="SDXL", version=xl.version)
    PreviewPlan.objects.update(planned_at=timezone.now() - timedelta(seconds=11))
    previews.refresh()
    render = previews.status(refiner.version).render
    assert render is not None
    assert [file["role"] for file in render.files] == ["checkpoint", "refiner"]
    assert (render.base, render.file, render.weight_bytes) == (xl, refiner, 700)
    alone, refined = render.shots.filter(prompt_number=0)
    assert (alone.label, refined.label) == ("the base alone", "refined from 80% on")
    assert ([one["file"] for one in alone.spec["addons"]], [one["file"] for one in refined.spec["addons"]]) == ([], [1])
    assert alone.key != refined.key
    assert alone.spec["width"] == 1024


def test_its_owner_names_an_sdxl_base_and_nothing_else(creator: Any, refiner: File, xl: File) -> None:
    previews.configure(refiner.version, base=xl.version)
    assert planned(refiner).base == xl
    sd1 = file_of(creator, checkpoint_shapes())
    previews.configure(refiner.version, base=sd1.version)
    assert previews.want(refiner.version).code == "preview:does-not-fit"
    with pytest.raises(NoRender, match="SDXL base"):
        renders.request(creator, version_id=refiner.version_id, prompt="x", base={"version_id": sd1.version_id})
    lora = file_of(creator, lora_shapes())
    with pytest.raises(NoRender, match="no checkpoint"):
        previews.configure(lora.version, base=refiner.version)


def test_its_settings_offer_a_base_and_those_of_other_checkpoints_do_not(creator: Any, refiner: File, xl: File) -> None:
    assert (previewbases.has_base(refiner.version), previewbases.has_base(xl.version)) == (True, False)
    for file, bases, fields in ((refiner, [xl.version], {"base"}), (xl, None, {"prediction"})):
        form = PreviewForm(row=PreviewSettings(version=file.version), bases=bases)
        assert form.fields.keys() & {"base", "prediction"} == fields


def test_a_worker_needs_room_for_the_larger_of_both(refiner: File, xl: File) -> None:
    rows = [renderfiles.of_version(file.version).to_json() for file in (xl, refiner)]
    assert renderfiles.needed_bytes(rows) == 700
    assert renderfiles.needed_bytes([rows[0], {**rows[1], "size_bytes": 900}]) == 900
