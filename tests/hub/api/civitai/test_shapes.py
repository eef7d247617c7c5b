"""The shape of every answer: keys, types, spellings, and nothing null where a client would break."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from registry import catalog
from registry.models import File, User
from tests.hub.api.civitai.conftest import Get
from tests.hub.published import published_entry, published_file, published_version

MAY_BE_NULL = {"virusScanMessage", "image"}
MODEL = {
    "id": int, "name": str, "description": str, "type": str, "nsfw": bool, "nsfwLevel": int, "minor": bool, "sfwOnly": bool, "poi": bool,
    "availability": str, "supportsGeneration": bool, "userId": int, "baseModels": list, "allowNoCredit": bool, "allowCommercialUse": str,
    "allowDerivatives": bool, "allowDifferentLicense": bool, "stats": dict, "creator": dict, "tags": list, "modelVersions": list,
}  # fmt: skip
VERSION_IN_MODEL = {
    "id": int, "index": int, "name": str, "baseModel": str, "baseModelType": str, "createdAt": str, "publishedAt": str, "status": str,
    "availability": str, "nsfwLevel": int, "description": str, "trainedWords": list, "supportsGeneration": bool, "stats": dict,
    "files": list, "images": list, "downloadUrl": str,
}  # fmt: skip
VERSION = {
    "id": int, "modelId": int, "name": str, "nsfwLevel": int, "createdAt": str, "updatedAt": str, "status": str, "publishedAt": str,
    "trainedWords": list, "baseModel": str, "baseModelType": str, "description": str, "uploadType": str, "usageControl": str,
    "air": str, "availability": str, "stats": dict, "model": dict, "files": list, "images": list, "downloadUrl": str,
}  # fmt: skip
FILE = {
    "id": int, "name": str, "type": str, "sizeKB": float, "metadata": dict, "pickleScanResult": str, "pickleScanMessage": str,
    "virusScanResult": str, "virusScanMessage": str, "scannedAt": str, "scan": dict, "hashes": dict, "primary": bool, "downloadUrl": str,
}  # fmt: skip
HASH_LENGTHS = {"AutoV1": 8, "AutoV2": 10, "AutoV3": 12, "SHA256": 64, "CRC32": 8, "BLAKE3": 64}


def nulls(value: Any, path: str = "") -> Iterator[str]:
    if value is None and path.rpartition(".")[2] not in MAY_BE_NULL:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nulls(inner, f"{path}.{key}")


def shape(value: dict[str, Any]) -> dict[str, type]:
    return {key: type(inner) for key, inner in value.items()}


@pytest.fixture
def file(creator: User) -> File:
    entry = published_entry(
        creator,
        name="Paper Lanterns",
        description="Glows **softly**. <script>alert(1)</script>",
        allow_commercial_use=["Image", "RentCivit"],
    )
    catalog.set_tags(entry, ["Light", "paper"])
    version = published_version(entry, trigger_words=["lantern style"], description="First.")
    return published_file(creator, b"\x10\0\0\0\0\0\0\0{}" + bytes(3_000_000), version=version)


def test_a_model(get: Get, file: File) -> None:
    body = get(f"/api/v1/models/{file.version.entry_id}").json()
    assert shape(body) == MODEL
    assert shape(body["modelVersions"][0]) == VERSION_IN_MODEL
    assert shape(body["modelVersions"][0]["files"][0]) == FILE
    assert not list(nulls(body))
    assert body["type"] == "Checkpoint"
    assert body["tags"] == ["light", "paper"]
    assert body["creator"] == {"username": "ada", "image": None}
    assert body["allowCommercialUse"] == "{Image,RentCivit}"
    assert "<strong>softly</strong>" in body["description"]
    assert "<script>" not in body["description"]
    assert body["modelVersions"][0]["trainedWords"] == ["lantern style"]
    assert all(type(count) is int for count in body["stats"].values())


def test_a_list_has_the_same_models(get: Get, file: File) -> None:
    listed = get("/api/v1/models").json()
    assert set(listed) == {"items", "metadata"}
    assert listed["items"] == [get(f"/api/v1/models/{file.version.entry_id}").json()]
    assert listed["metadata"] == {"totalItems": 1, "pageSize": 100, "totalPages": 1}


def test_a_version(get: Get, file: File) -> None:
    body = get(f"/api/v1/model-versions/{file.version_id}").json()
    assert shape(body) == VERSION
    assert shape(body["files"][0]) == FILE
    assert not list(nulls(body))
    assert body["model"] == {"name": "Paper Lanterns", "type": "Checkpoint", "nsfw": False, "poi": False}
    assert body["createdAt"].endswith("Z")
    assert len(body["publishedAt"]) == len("2026-11-21T10:00:00.000Z")


def test_hashes_and_sizes_are_exact(get: Get, file: File) -> None:
    shown = get(f"/api/v1/model-versions/{file.version_id}").json()["files"][0]
    assert {kind: len(value) for kind, value in shown["hashes"].items()} == HASH_LENGTHS
    assert all(value == value.upper() for value in shown["hashes"].values())
    assert shown["hashes"]["SHA256"] == file.sha256.upper()
    assert shown["sizeKB"] * 1024 == file.size_bytes


def test_the_primary_file_has_the_versions_own_address(get: Get, file: File, creator: User) -> None:
    published_file(
        creator, b"smaller", "lantern-pruned-fp16.safetensors", version=file.version, recipe={"keep": "weights", "precision": "fp16"}
    )
    published_file(creator, b"pickled", "lantern.ckpt", version=file.version, blob_container="torch-zip")
    for address in (f"/api/v1/models/{file.version.entry_id}", f"/api/v1/model-versions/{file.version_id}"):
        body = get(address).json()
        version = body["modelVersions"][0] if "modelVersions" in body else body
        [main] = [shown for shown in version["files"] if shown.get("primary")]
        assert main["downloadUrl"] == version["downloadUrl"] == f"http://testserver/api/download/models/{file.version_id}"
        assert len({shown["downloadUrl"] for shown in version["files"]}) == 3
        others = [shown for shown in version["files"] if shown is not main]
        assert [("primary" in shown) for shown in others] == ["modelVersions" not in body] * 2
        for shown in version["files"]:
            location = get(shown["downloadUrl"].removeprefix("http://testserver"))["Location"]
            assert f"/files/{shown['id']}/" in location


def test_addresses_are_on_the_host_and_scheme_that_were_asked(client: Any, file: File, settings: Any) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_PROXY_SSL_HEADER = ["civitai.com"], ("HTTP_X_FORWARDED_PROTO", "https")
    headers = {"host": "civitai.com", "x-forwarded-proto": "https"}
    body = client.get(f"/api/v1/model-versions/{file.version_id}", headers=headers).json()
    assert body["downloadUrl"] == f"https://civitai.com/api/download/models/{file.version_id}"
    location = client.get(f"/api/download/models/{file.version_id}", headers=headers)["Location"]
    assert location.startswith(f"https://civitai.com/files/{file.pk}/")


def test_the_newest_version_comes_first(get: Get, creator: User) -> None:
    entry = published_entry(creator)
    for name in ("v1", "v2", "v3"):
        version = catalog.create_version(entry, name=name, base_model="SD 1.5")
        published_file(creator, name.encode(), version=version)
        catalog.publish(version)
    body = get(f"/api/v1/models/{entry.pk}").json()
    assert [(version["name"], version["index"]) for version in body["modelVersions"]] == [("v3", 0), ("v2", 1), ("v1", 2)]


@pytest.mark.parametrize(
    ("kind", "flavour", "expected"),
    [("checkpoint", "", "Checkpoint"), ("lora", "LoRA", "LORA"), ("lora", "", "LORA"), ("lora", "LoCon", "LoCon"),
     ("lora", "LoHa", "LoCon"),
     ("lora", "LoKr", "LoCon"), ("lora", "DoRA", "DoRA"), ("embedding", "", "TextualInversion"), ("hypernetwork", "", "Hypernetwork"),
     ("vae", "", "VAE"), ("controlnet", "", "Controlnet"), ("upscaler", "", "Upscaler"), ("other", "", "Other")],
)  # fmt: skip
def test_kinds_are_spelled_as_civitai_does(get: Get, creator: User, kind: str, flavour: str, expected: str) -> None:
    version = published_version(published_entry(creator, kind=kind))
    published_file(creator, b"weights", version=version, blob_detected={"flavour": flavour, "precision": "fp16"})
    [item] = get("/api/v1/models").json()["items"]
    assert item["type"] == expected
    assert get(f"/api/v1/model-versions/{version.pk}").json()["model"]["type"] == expected
    assert len(get("/api/v1/models", {"types": expected}).json()["items"]) == 1
    other = "LORA" if expected != "LORA" else "LoCon"
    assert not get("/api/v1/models", {"types": other}).json()["items"]
