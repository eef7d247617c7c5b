"""GET /api/v1/model-versions/by-hash/{hash}: every kind and spelling that programs write, and what must match nothing."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from safetensors.numpy import save

from registry import catalog
from registry.formats.hashes import hash_file
from registry.models import File, User
from tests.hub.api.civitai.conftest import Get
from tests.hub.published import published_entry, published_file, published_version

ADDRESS = "/api/v1/model-versions/by-hash/"
TENSORS = b"\x10\0\0\0\0\0\0\0" + b"{}".ljust(16) + bytes(2_500_000)


@pytest.fixture
def file(creator: User) -> File:
    return published_file(creator, TENSORS)


@pytest.mark.parametrize("kind", ["SHA256", "AutoV1", "AutoV2", "AutoV3", "BLAKE3", "CRC32"])
def test_every_kind_finds_the_version(get: Get, file: File, kind: str) -> None:
    value = file.blob.hash_values()[kind]
    for spelling in (value, value.lower(), f"0x{value.lower()}", f"0X{value}"):
        body = get(ADDRESS + spelling).json()
        assert body["id"] == file.version_id
        assert body["files"][0]["hashes"][kind] == value


def test_the_hash_of_the_tensors_finds_it_and_is_not_told(get: Get, creator: User) -> None:
    """Civitai's `hashes` has six kinds; programs that read it know no others."""
    file = published_file(creator, save({"a": np.arange(6, dtype=np.float32)}, {"title": "one"}))
    other = hash_file(io.BytesIO(save({"a": np.arange(6, dtype=np.float32)}, {"title": "another"})))
    body = get(ADDRESS + str(other.content)).json()
    assert body["id"] == file.version_id
    assert set(body["files"][0]["hashes"]) == {"SHA256", "AutoV2", "AutoV3", "BLAKE3", "CRC32"}


def test_the_whole_hash_of_the_data_finds_it_and_its_beginnings_do(get: Get, file: File) -> None:
    """kohya's trainers write all 64 digits of what AutoV3 is the beginning of; SwarmUI looks them up with 0x in front."""
    value = hash_file(io.BytesIO(TENSORS)).data_sha256 or ""
    for spelling in (value, f"0x{value.upper()}", value[:20], value[:12]):
        body = get(ADDRESS + spelling).json()
        assert body["id"] == file.version_id
        assert value.upper() not in str(body)


@pytest.mark.parametrize(("kind", "length"), [("SHA256", 8), ("SHA256", 12), ("SHA256", 63), ("AutoV3", 8), ("AutoV3", 10)])
def test_a_long_enough_beginning_finds_it_too(get: Get, file: File, kind: str, length: int) -> None:
    assert get(ADDRESS + file.blob.hash_values()[kind][:length]).json()["id"] == file.version_id


def test_what_matches_nothing(get: Get, file: File) -> None:
    short = file.sha256[:7]
    for value in (short, "zz" * 32, "e3b0c44298fc", file.sha256 + "0", "%25" * 8, "' or 1=1", file.blob.hash_values()["BLAKE3"][:12]):
        response = get(ADDRESS + value)
        assert (response.status_code, response.json()) == (404, {"error": "Model not found"})


def test_of_several_the_oldest_that_is_served(get: Get, creator: User, stranger: User) -> None:
    old = timezone.now() - timedelta(days=3)
    gone = published_file(creator, TENSORS, version=published_version(published_entry(creator), published_at=old - timedelta(days=1)))
    first = published_file(creator, TENSORS, version=published_version(published_entry(creator), published_at=old))
    published_file(stranger, TENSORS, version=published_version(published_entry(stranger)))
    hidden = published_version(published_entry(stranger, visibility="private"), published_at=old - timedelta(days=2))
    published_file(stranger, TENSORS, version=hidden)
    assert get(ADDRESS + first.sha256).json()["id"] == gone.version_id
    catalog.withdraw(gone.version)
    assert get(ADDRESS + first.sha256).json()["id"] == first.version_id


def test_a_variant_is_found_by_its_own_hash(get: Get, file: File, creator: User) -> None:
    small = published_file(
        creator, b"small", "s.safetensors", version=file.version, role="derived", source=file, recipe={"keep": "weights"}
    )
    body = get(ADDRESS + small.sha256).json()
    assert body["id"] == file.version_id
    assert {shown["id"]: shown.get("derivedFrom", {}).get("fileId") for shown in body["files"]} == {file.pk: None, small.pk: file.pk}


def test_the_answer_is_that_of_the_version(get: Get, file: File) -> None:
    assert get(ADDRESS + file.sha256).json() == get(f"/api/v1/model-versions/{file.version_id}").json()


def test_the_number_of_queries_is_fixed(client: Any, creator: User, file: File, django_assert_max_num_queries: Any) -> None:
    for number in range(6):
        published_file(creator, b"more" + bytes([number]), f"f{number}.ckpt", version=file.version, blob_container="torch-zip")
    with django_assert_max_num_queries(1):
        assert client.get(ADDRESS + file.sha256).status_code == 200
