"""GET /api/v1/model-versions/mini/{id} and AIRs."""

from __future__ import annotations

from typing import Any

import pytest

from hub.api.civitai import air, basemodels
from registry.identify.bases import ALTERNATIVES, TABLES
from registry.models import File, User
from tests.hub.api.civitai.conftest import Get, condition
from tests.hub.api.civitai.test_shapes import nulls, shape
from tests.hub.published import published_entry, published_file, published_version

ADDRESS = "/api/v1/model-versions/mini/"
MINI = {
    "air": str, "versionName": str, "modelName": str, "userId": int, "baseModel": str, "availability": str, "publishedAt": str,
    "size": float, "fileType": str, "fileName": str, "hashes": dict, "downloadUrls": list, "format": str, "isFeatured": bool,
    "requireAuth": bool, "checkPermission": bool, "additionalResourceCharge": bool, "minor": bool, "sfwOnly": bool, "fees": list,
    "payoutEnabled": bool, "canGenerate": bool,
}  # fmt: skip


@pytest.fixture
def file(creator: User) -> File:
    entry = published_entry(creator, kind="lora", name="Lanterns")
    return published_file(
        creator,
        b"weights",
        version=published_version(entry, base_model="Pony"),
        blob_detected={"precision": "fp16", "kind": "lora", "flavour": "LoCon"},
    )


def test_the_primary_file(get: Get, file: File) -> None:
    body = get(f"{ADDRESS}{file.version_id}").json()
    assert shape(body) == MINI
    assert not list(nulls(body))
    assert body["air"] == f"urn:air:sdxl:lycoris:civitai:{file.version.entry_id}@{file.version_id}"
    assert body["downloadUrls"] == [f"http://testserver/api/download/models/{file.version_id}"]
    assert (body["fileName"], body["size"], body["format"]) == ("lantern.safetensors", 7 / 1024, "SafeTensor")
    assert body["hashes"]["SHA256"] == file.sha256.upper()
    assert (body["modelName"], body["requireAuth"], body["canGenerate"]) == ("Lanterns", False, False)


def test_a_certain_file(get: Get, file: File, creator: User) -> None:
    small = published_file(creator, b"small", "s.safetensors", version=file.version, role="derived", source=file, recipe={"keep": "ema"})
    body = get(f"{ADDRESS}{file.version_id}", {"modelFileId": small.pk}).json()
    assert body["air"].endswith(f"@{file.version_id}+{small.pk}")
    assert body["hashes"]["SHA256"] == small.sha256.upper()
    assert f"fileId={small.pk}" in body["downloadUrls"][0]
    location = get(body["downloadUrls"][0].removeprefix("http://testserver"))["Location"]
    assert f"/files/{small.pk}/" in location


def test_a_file_of_another_version_is_not_found(get: Get, file: File, creator: User) -> None:
    other, sealed = published_file(creator, b"other"), condition(creator, "quarantined", b"bad")
    for pk, version in ((other.pk, file.version_id), (999_999, file.version_id), (sealed.pk, sealed.version_id)):
        response = get(f"{ADDRESS}{version}", {"modelFileId": pk})
        assert (response.status_code, response.json()) == (404, {"error": f"Model file {pk} not found in version {version}"})
    assert get(f"{ADDRESS}{file.version_id}", {"modelFileId": "x"}).status_code == 400


@pytest.mark.parametrize("state", ["private", "draft", "private-withdrawn", "withdrawn", "deleted"])
def test_what_is_hidden_or_gone_is_not_found(state: str, people: dict[str, Get], creator: User) -> None:
    file = condition(creator, state, b"weights")
    for person in ("anonymous", "other"):
        response, missing = people[person](f"{ADDRESS}{file.version_id}"), people[person](f"{ADDRESS}999999")
        assert (response.status_code, response.content) == (missing.status_code, missing.content) == (404, b'{"error":"Model not found"}')
    assert people["owner"](f"{ADDRESS}{file.version_id}").status_code == (200 if state in {"private", "draft"} else 404)


def test_a_private_one_says_that_it_needs_a_token(people: dict[str, Get], creator: User) -> None:
    body = people["owner"](f"{ADDRESS}{condition(creator, 'private', b'weights').version_id}").json()
    assert (body["requireAuth"], body["checkPermission"], body["availability"]) == (True, True, "Private")


def test_no_file_at_all(get: Get, creator: User) -> None:
    sealed = condition(creator, "quarantined", b"bad")
    assert get(f"{ADDRESS}{sealed.version_id}").json() == {"error": "Missing model file"}
    assert get(f"{ADDRESS}x").status_code == 400


def test_queries(client: Any, file: File, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(6):
        assert client.get(f"{ADDRESS}{file.version_id}").status_code == 200


# --- AIRs -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "kind", "expected"),
    [
        ("SD 1.5", "Checkpoint", "sd1:checkpoint"), ("SD 2.1 768", "TextualInversion", "sd2:embedding"), ("SD 3", "VAE", "sd3:vae"),
        ("SD 3.5 Medium", "LORA", "sd3_5m:lora"), ("sdxl 1.0", "DoRA", "sdxl:dora"), ("Illustrious", "LoCon", "sdxl:lycoris"),
        ("NoobAI", "Hypernetwork", "sdxl:hypernet"), ("SDXL Lightning", "Controlnet", "sdxl:controlnet"),
        ("Flux.1 D", "LORA", "flux1:lora"), ("Flux.2 Klein 4B", "LORA", "flux2:lora"), ("Upscaler", "Upscaler", "other:upscaler"),
        ("My own thing", "Poses", "other:other"), ("", "Checkpoint", "other:checkpoint"),
    ],
)  # fmt: skip
def test_airs(base: str, kind: str, expected: str) -> None:
    assert air.name(base, kind, 12, 34) == f"urn:air:{expected}:civitai:12@34"


def test_every_base_that_the_hub_detects_has_an_ecosystem() -> None:
    known = {base.base for table in TABLES.values() for base in table if base.base} | {n for names in ALTERNATIVES.values() for n in names}
    assert {name for name in known if basemodels.ecosystem_of(name) == "other"} == set()


def test_versions_tell_theirs(get: Get, file: File) -> None:
    assert get(f"/api/v1/model-versions/{file.version_id}").json()["air"] == get(f"{ADDRESS}{file.version_id}").json()["air"]
