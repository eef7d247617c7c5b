"""Which file a download address means: the score, the wishes, and when the answer is no."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hub.api.civitai.choosing import Wanted, choose, primary
from registry.models import File, User
from tests.factories import FileFactory
from tests.hub.api.civitai.conftest import Get
from tests.hub.published import published_entry, published_file, published_version


@dataclass(frozen=True)
class Offered:
    name: str
    id: int
    file_type: str = "Model"
    metadata: dict[str, str] = field(default_factory=dict)
    preference: int = 0
    overflowed: bool = False


def offered(name: str, fmt: str = "SafeTensor", size: str = "full", fp: str = "", *, number: int = 1, preference: int = 0) -> Offered:
    metadata = {"format": fmt, "size": size, **({"fp": fp} if fp else {})}
    return Offered(name, number, "Pruned Model" if size == "pruned" else "Model", metadata, preference)


PICKLE = offered("pickle", "PickleTensor", "full", "fp32", number=1)
TWIN = offered("twin", "SafeTensor", "full", "fp32", number=2, preference=1)
SMALL = offered("small", "SafeTensor", "pruned", "fp16", number=3, preference=2)
EMA = offered("ema", "SafeTensor", "pruned", "fp16", number=4, preference=3)
UPLOADED = [PICKLE, TWIN, SMALL, EMA]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([PICKLE], "pickle"),
        ([PICKLE, TWIN], "twin"),
        (UPLOADED, "small"),
        ([EMA, SMALL], "small"),
        ([offered("fp32", fp="fp32", number=1), offered("fp16", fp="fp16", number=2)], "fp16"),
        ([offered("first", number=1), offered("second", number=2)], "first"),
        ([offered("unknown", number=1), offered("wrong", fp="fp32", number=2)], "unknown"),
        ([Offered("config", 1, "Config", {"format": "SafeTensor", "size": "pruned", "fp": "fp16"}), TWIN], "twin"),
    ],
)
def test_without_wishes(files: list[Offered], expected: str) -> None:
    found = primary(files)
    assert found is not None
    assert found.name == expected
    assert choose(files, Wanted()) == found
    assert primary(reversed(files)) == found


def test_nothing_of_nothing() -> None:
    assert primary([]) is None
    assert choose([], Wanted("Model")) is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(format="PickleTensor"), "pickle"),
        (Wanted(format="pickletensor"), "pickle"),
        (Wanted(format="SafeTensor"), "small"),
        (Wanted(size="full"), "twin"),
        (Wanted(size="full", fp="fp32"), "twin"),
        (Wanted("Model"), "twin"),
        (Wanted("Pruned Model"), "small"),
        (Wanted("model", "SafeTensor", "full", "fp32"), "twin"),
        (Wanted(format="GGUF"), None),
        (Wanted(fp="bf16"), None),
        (Wanted(size="pruned", fp="fp32"), None),
        (Wanted(format="PickleTensor", size="pruned"), None),
        (Wanted("VAE"), None),
        (Wanted(quant="Q4_K_M"), None),
    ],
)
def test_with_wishes(wanted: Wanted, expected: str | None) -> None:
    found = choose(UPLOADED, wanted)
    assert (found.name if found else None) == expected


# --- through the address ----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(creator: User) -> dict[str, File]:
    pickle = published_file(creator, b"pickle", "a.ckpt", blob_container="torch-zip", blob_detected={"precision": "fp32"})
    common: dict[str, Any] = {"version": pickle.version, "role": "derived", "source": pickle}
    return {
        "pickle": pickle,
        "twin": published_file(creator, b"twin", "a.safetensors", recipe={"keep": "all"}, blob_detected={"precision": "fp32"}, **common),
        "small": published_file(creator, b"small", "a-pruned-fp16.safetensors", recipe={"keep": "weights"}, **common),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "small"),
        ({"type": "Model", "format": "PickleTensor"}, "pickle"),
        ({"type": "model"}, "twin"),
        ({"size": "FULL"}, "twin"),
        ({"fp": "fp16"}, "small"),
        ({"format": "GGUF"}, 404),
        ({"type": "Nonsense"}, 400),
        ({"size": "tiny"}, 400),
        ({"fileId": "x"}, 400),
        ({"fileId": "999999"}, 404),
        ({"fp": "x" * 5000}, 404),
    ],
)
def test_the_query_chooses(get: Get, files: dict[str, File], query: dict[str, str], expected: str | int) -> None:
    response = get(f"/api/download/models/{files['pickle'].version_id}", query)
    if isinstance(expected, int):
        assert (response.status_code, "error" in response.json()) == (expected, True)
    else:
        assert response.status_code == 307
        assert f"/files/{files[expected].pk}/" in response["Location"]
        assert response["Cache-Control"] == "no-store, max-age=0"


def test_a_file_id_is_exact_and_of_this_version(get: Get, files: dict[str, File], creator: User) -> None:
    other = published_file(creator, b"other")
    for file in files.values():
        location = get(f"/api/download/models/{file.version_id}", {"fileId": file.pk})["Location"]
        assert f"/files/{file.pk}/" in location
    assert get(f"/api/download/models/{files['pickle'].version_id}", {"fileId": other.pk}).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"state": "quarantined"}, 403), ({"state": "danger"}, 403), ({"state": "queued"}, 404), ({"state": "scanning"}, 404),
        ({"state": "failed"}, 404), ({"state": "converting"}, 404), ({"state": "ready", "blob__verdict": "suspicious"}, 404),
        ({"state": "ready", "blob__verdict": "pending"}, 404), ({"state": "ready", "blob__sealed": True}, 404),
        ({"state": "ready", "blob__stored": False}, 404), ({"state": "uploading", "blob": None}, 404),
    ],
)  # fmt: skip
@pytest.mark.parametrize("person", ["anonymous", "owner", "moderator"])
def test_nothing_that_was_not_found_clean_is_ever_handed_out(
    people: dict[str, Get], files: dict[str, File], fields: dict[str, Any], status: int, person: str
) -> None:
    file = FileFactory(version=files["pickle"].version, name="held.ckpt", **fields)
    address = f"/api/download/models/{file.version_id}"
    response = people[person](address, {"fileId": file.pk})
    assert (response.status_code, "Location" in response) == (status, False)
    assert f"/files/{files['small'].pk}/" in people[person](address)["Location"]


def test_a_pickle_waits_for_its_twin_unless_it_is_asked_for(get: Get, creator: User) -> None:
    pickle = published_file(creator, b"pickle", "a.ckpt", blob_container="torch-zip")
    twin = FileFactory(version=pickle.version, role="derived", source=pickle, state="queued")
    address = f"/api/download/models/{pickle.version_id}"
    response = get(address)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert get(address, {"format": "PickleTensor"}).status_code == 307
    twin.delete()
    assert get(address).status_code == 307


def test_a_file_with_values_that_became_infinite_is_given_to_those_only_who_ask_for_its_precision() -> None:
    broken = replace(SMALL, overflowed=True)
    assert primary([TWIN, broken]) == TWIN
    assert choose([TWIN, broken], Wanted()) == TWIN
    assert choose([TWIN, broken], Wanted(fp="fp16")) == broken
    assert primary([broken]) == broken


def test_the_primary_file_is_told_first(db: None, creator: Any, client: Any) -> None:
    """Some clients take the first of `files`: it must not be a pickle whose copy is there."""
    version = published_version(published_entry(creator))
    pickle = published_file(creator, b"pickle" * 9, "a.ckpt", version=version, blob_container="torch-zip")
    twin = published_file(creator, b"twin" * 9, "a.safetensors", version=version, role="derived", source=pickle)
    for path, files in (
        (f"/api/v1/model-versions/{version.pk}", lambda body: body["files"]),
        (f"/api/v1/models/{version.entry_id}", lambda body: body["modelVersions"][0]["files"]),
        ("/api/v1/models", lambda body: body["items"][0]["modelVersions"][0]["files"]),
    ):
        told = files(client.get(path).json())
        assert [(file["id"], file.get("primary", False)) for file in told] == [(twin.pk, True), (pickle.pk, False)], path
