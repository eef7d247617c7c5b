"""Enums, permissions and the tensors of a file: what programs fill their menus with, and what they ask before they fetch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from safetensors.numpy import save

from registry.models import Blob, File, User
from tests.hub.api.civitai.conftest import Get, condition
from tests.hub.published import published_entry, published_file, published_version
from tests.pictures import renderable_weights

pytestmark = pytest.mark.django_db
CHECK = "/api/v1/permissions/check"
TENSORS = {"a.weight": np.ones((4, 2), np.float16), "b.weight": np.ones((3,), np.float32), "c": np.ones((1, 8), np.float16)}


def test_enums(get: Get) -> None:
    words = get("/api/v1/enums").json()
    assert set(words) == {"ModelType", "ModelFileType", "ActiveBaseModel", "BaseModel", "BaseModelType"}
    assert {"Checkpoint", "LORA", "LoCon", "DoRA", "TextualInversion"} <= set(words["ModelType"])
    assert (len(words["ActiveBaseModel"]), len(words["BaseModel"])) == (69, 99)
    assert set(words["ActiveBaseModel"]) < set(words["BaseModel"])
    assert all(len(values) == len(set(values)) for values in words.values())


# --- permissions ------------------------------------------------------------------------------------------------------------


def test_who_may_make_pictures_with_what(people: dict[str, Get], creator: User, stranger: User) -> None:
    weights, plain = renderable_weights(creator), condition(creator, "public", b"no tensors")
    hidden = renderable_weights(creator, visibility="private")
    query = {"entityIds": f"{weights.version_id},{plain.version_id},{hidden.version_id},999999", "entityType": "ModelVersion"}
    ids = query["entityIds"].split(",")
    expected = {"owner": (True, False, True, False), "other": (True, False, False, False), "anonymous": (False,) * 4}
    for person, may in expected.items():
        assert people[person](CHECK, {**query, "permission": "Generate"}).json() == dict(zip(ids, may, strict=True))
    for person in ("anonymous", "other"):  # what a private model's owner may is not told to others
        assert people[person](CHECK, {**query, "userId": creator.pk}).json() == dict(zip(ids, (True, False, False, False), strict=True))
    assert people["owner"](f"/api/v1/model-versions/mini/{weights.version_id}").json()["canGenerate"] is True


def test_questions_about_nothing_and_wrong_ones(get: Get) -> None:
    assert get(CHECK).json() == []
    assert get(CHECK, {"entityIds": ""}).json() == []
    for query in ({"entityIds": "x"}, {"entityIds": "1", "permission": "Delete"}, {"entityIds": "1", "entityType": "Image"}):
        response = get(CHECK, query)
        assert response.status_code == 400
        assert "error" in response.json()


# --- tensors ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(creator: User) -> File:
    return published_file(creator, save(TENSORS, {"ss_dataset_dirs": '{"/home/ada/secret": 1}'}))


def address(file: File) -> str:
    return f"/api/v1/model-files/{file.pk}/tensor-metadata"


def test_the_tensors_of_a_file(get: Get, file: File) -> None:
    response = get(address(file))
    body = response.json()
    assert body.pop("tensors") == [
        {"name": name, "shape": list(TENSORS[name].shape), "dtype": kind, "sizeBytes": TENSORS[name].nbytes}
        for name, kind in (("a.weight", "F16"), ("b.weight", "F32"), ("c", "F16"))
    ]
    assert body == {
        "format": "SafeTensor",
        "tensorCount": 3,
        "totalTensorBytes": 44,
        "dtypeCounts": [{"dtype": "F16", "count": 2, "bytes": 32}, {"dtype": "F32", "count": 1, "bytes": 12}],
        "weightPrecision": "FP16",
        "largestTensor": {"name": "a.weight", "shape": [4, 2], "dtype": "F16", "sizeBytes": 16},
        "vramEstimate": None,
    }
    assert get(address(file), {"summaryOnly": "true"}).json() == body
    assert "immutable" in response["Cache-Control"]
    assert "secret" not in response.content.decode()


def test_names_that_are_no_text_do_no_harm(get: Get, creator: User) -> None:
    header = json.dumps({"\ud800x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    file = published_file(creator, len(header).to_bytes(8, "little") + header + b"\0")
    response = get(address(file))
    assert response.status_code in {200, 400}
    assert response.json()


def test_a_file_of_which_no_tensors_are_known(get: Get, creator: User) -> None:
    file = published_file(creator, b"text", "notes.txt", blob_container="text")
    response = get(address(file))
    assert response.status_code == 400
    assert response.json()["error"].startswith("File format is not supported")


@pytest.mark.parametrize("state", ["private", "draft", "private-withdrawn"])
def test_hidden_tensors_look_like_missing_ones(state: str, people: dict[str, Get], creator: User) -> None:
    file = condition(creator, state, save(TENSORS))
    for person in ("anonymous", "other"):
        hidden, missing = people[person](address(file)), people[person]("/api/v1/model-files/999999/tensor-metadata")
        assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content) == (404, b'{"error":"File not found"}')
        assert set(hidden.headers) == set(missing.headers)
    if state != "private-withdrawn":
        response = people["owner"](address(file))
        assert (response.status_code, response["Cache-Control"]) == (200, "private, no-store")


def test_a_sealed_file_tells_what_the_scan_wrote_down(get: Get, creator: User) -> None:
    file = renderable_weights(creator)
    Blob.objects.filter(pk=file.blob_id).update(sealed=True, verdict="danger")
    File.objects.filter(pk=file.pk).update(state="quarantined")
    response = get(address(file), {"summaryOnly": "1"})
    assert response.json()["tensorCount"] > 100
    assert "immutable" not in response["Cache-Control"]


def test_a_file_that_is_still_judged_is_its_creators(people: dict[str, Get], creator: User) -> None:
    version = published_version(published_entry(creator))
    file = published_file(creator, save(TENSORS), version=version, state="scanning")
    assert people["other"](address(file)).status_code == 404
    assert people["other"]("/api/v1/model-files/x/tensor-metadata").status_code == 400


def test_a_file_that_was_taken_away_is_not_found(people: dict[str, Get], file: File) -> None:
    File.objects.filter(pk=file.pk).update(removed_at=timezone.now())
    assert people["owner"](address(file)).status_code == people["anonymous"](address(file)).status_code == 404


def test_tensor_queries(client: Any, file: File, django_assert_max_num_queries: Any) -> None:
    client.get(address(file))
    with django_assert_max_num_queries(2):
        assert client.get(address(file)).status_code == 200
