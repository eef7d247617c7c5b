"""Configurations under the ids that diffusers asks for: those of the published models, by the same code as every checkpoint's."""

from __future__ import annotations

import json

import pytest

from hub.api.huggingface import configs, wellknown
from inference.diffusion.families import describe
from registry.commits import git_blob_oid
from tests.inference.diffusion.test_families import PUBLISHED


@pytest.mark.parametrize("family", sorted(set(wellknown.FAMILIES.values())))
def test_the_table_says_what_the_published_shapes_say(family: str) -> None:
    shapes, _, _, _ = PUBLISHED[family]
    assert configs.layout(wellknown.architecture(family)) == configs.layout(describe(shapes()))


def test_every_family_with_a_pipeline_can_be_had() -> None:
    assert set(wellknown.FAMILIES.values()) == set(configs.PIPELINES)


def test_diffusers_finds_its_own_default_ids() -> None:
    """Only those of Stable Diffusion 1, 2 and XL; ids of diffusers 0.42."""
    from diffusers.loaders.single_file_utils import DIFFUSERS_DEFAULT_PIPELINE_PATHS as ASKED

    wanted = ["v1", "v2", "inpainting", "inpainting_v2", "xl_base", "xl_refiner", "xl_inpaint", "instruct-pix2pix"]
    ids = [ASKED[kind]["pretrained_model_name_or_path"] for kind in wanted]
    assert [one for one in ids if wellknown.find(*one.split("/")) is None] == []


def test_a_sha_names_exactly_these_bytes() -> None:
    repo = wellknown.find("stable-diffusion-v1-5", "stable-diffusion-v1-5")
    assert repo is not None
    assert len(repo.sha) == 40
    assert repo == wellknown.find("stable-diffusion-v1-5", "stable-diffusion-v1-5")
    assert {row["path"]: row["oid"] for row in repo.rows} == {path: git_blob_oid(content) for path, content in repo.contents.items()}
    other = wellknown.find("runwayml", "stable-diffusion-v1-5")
    assert other is not None
    assert other.sha != repo.sha
    assert json.loads(repo.contents["model_index.json"])["_class_name"] == "StableDiffusionPipeline"


def test_other_names_are_nobodys() -> None:
    assert wellknown.find("stabilityai", "stable-diffusion-3-medium-diffusers") is None
    assert wellknown.find("ada", "stable-diffusion-v1-5") is None
