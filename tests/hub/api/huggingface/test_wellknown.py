"""Configurations under the ids that diffusers asks for: those of the published models, by the same code as every checkpoint's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from hub.api.huggingface import configs, wellknown
from inference.diffusion.families import describe
from registry.commits import git_blob_oid
from tests.factories import EntryFactory, UserFactory
from tests.inference.diffusion.test_families import PUBLISHED


@pytest.mark.parametrize("family", sorted(set(wellknown.FAMILIES.values())))
def test_the_table_says_what_the_published_shapes_say(family: str) -> None:
    shapes, _, _, _ = PUBLISHED[family]
    assert configs.layout(wellknown.architecture(family)) == configs.layout(describe(shapes()))


def test_every_family_with_a_pipeline_can_be_had() -> None:
    assert set(wellknown.FAMILIES.values()) == set(configs.PIPELINES)


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


INPAINTING = "stable-diffusion-v1-5/stable-diffusion-inpainting"


def test_every_reading_route_answers_for_them(db: None, client: Client) -> None:
    told = client.get(f"/api/models/{INPAINTING}", {"blobs": "true"}).json()
    assert (told["id"], told["downloads"]) == (INPAINTING, 0)
    assert {"rfilename", "size", "blobId"} <= set(told["siblings"][0])
    rows = client.get(f"/api/models/{INPAINTING}/tree/main", {"recursive": "true", "expand": "true"}).json()
    assert {row["path"] for row in rows if row["type"] == "directory"} == {"scheduler", "text_encoder", "tokenizer", "unet", "vae"}
    found = client.post(f"/api/models/{INPAINTING}/paths-info/main", {"paths": ["unet/config.json", "none"]}).json()
    assert [row["path"] for row in found] == ["unet/config.json"]
    assert client.get(f"/api/models/{INPAINTING}/refs").json()["branches"][0]["targetCommit"] == told["sha"]
    assert client.get(f"/api/models/{INPAINTING}/commits/main").json()[0]["id"] == told["sha"]
    assert client.get(f"/api/models/{INPAINTING}/auth-check").status_code == 200
    assert client.get(f"/api/models/{INPAINTING}/auth-check/write").status_code == 403
    config = client.get(f"/{INPAINTING}/resolve/{told['sha']}/unet/config.json")
    assert config["X-Repo-Commit"] == told["sha"]
    assert config.json()["in_channels"] == 9
    assert client.get(f"/{INPAINTING}/resolve/main/unet/none.json")["X-Error-Code"] == "EntryNotFound"


def test_whatever_branch_the_weights_come_from_the_configurations_are_there(db: None, client: Client) -> None:
    assert client.get(f"/api/models/{INPAINTING}/revision/v2.0").status_code == 200
    assert client.get(f"/api/models/{INPAINTING}/revision/{'0' * 40}")["X-Error-Code"] == "RevisionNotFound"


def test_a_creators_own_repository_of_the_name_comes_first(db: None, client: Client, stores: Path) -> None:
    owner = UserFactory(username="stable-diffusion-v1-5")
    entry: Any = EntryFactory(owner=owner, slug="stable-diffusion-inpainting", name="Mine", visibility="private")
    assert client.get(f"/api/models/{INPAINTING}").json()["tags"] == ["diffusers"], "a hidden one is as good as none"
    client.force_login(owner)
    assert client.get(f"/api/models/{INPAINTING}").json()["_id"] == f"{entry.pk:024x}"
