"""Tensors, metadata and header of a file through the API: pages lose nothing, folders of the trainer's machine are its owner's alone."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from rest_framework.test import APIClient
from safetensors.numpy import save

from registry import panel, storage
from registry.models import File
from registry.places import HIDDEN
from tests.factories import FileFactory, VersionFactory
from tests.hub.published import published_file

TENSORS = {f"model.diffusion_model.out.{n}.weight": np.zeros((2, n + 1), np.float16) for n in range(30)} | {
    "betas": np.zeros(3, np.float32)
}
METADATA = {
    "format": "pt",
    "ss_dataset_dirs": '{"12_my_sister": {"n_repeats": 12}}',
    "ss_sd_model_name": "/home/ada/base.ckpt",
    "ss_network_dim": "16",
}


@pytest.fixture(autouse=True)
def nothing_at_hand() -> None:
    panel.forget()


@pytest.fixture
def file(creator: Any) -> File:
    return published_file(creator, save(TENSORS, METADATA))


def test_tensors_come_with_their_totals(anonymous: APIClient, file: File) -> None:
    seen = anonymous.get(f"/api/hub/files/{file.pk}/tensors?limit=1").json()
    assert {key: seen[key] for key in ("source", "tensors_in_all", "parameters", "matched", "next")} == {
        "source": "header", "tensors_in_all": 31, "parameters": 933, "matched": 31, "next": "betas",
    }  # fmt: skip
    assert seen["dtypes"] == [
        {"name": "F16", "tensors": 30, "numbers": 930, "bytes": 1860},
        {"name": "F32", "tensors": 1, "numbers": 3, "bytes": 12},
    ]
    assert [(part["name"], part["tensors"]) for part in seen["parts"]] == [("unet", 30), ("other", 1)]
    [row] = seen["tensors"]
    assert (row["name"], row["dtype"], row["shape"], row["bytes"], row["part"]) == ("betas", "F32", [3], 12, "other")
    assert row["offsets"][1] - row["offsets"][0] == 12


def test_offsets_are_places_in_the_file(anonymous: APIClient, creator: Any) -> None:
    data = save({"a": np.arange(3, dtype=np.float32), "b": np.arange(5, dtype=np.float32)})
    file = published_file(creator, data)
    for row in anonymous.get(f"/api/hub/files/{file.pk}/tensors").json()["tensors"]:
        begin, end = row["offsets"]
        assert np.frombuffer(data[begin:end], np.float32).tolist() == list(range(row["shape"][0]))


def test_following_next_sees_every_tensor_once(anonymous: APIClient, file: File) -> None:
    seen: list[str] = []
    asked = {"limit": "7"}
    while True:
        page = anonymous.get(f"/api/hub/files/{file.pk}/tensors", asked).json()
        seen += [row["name"] for row in page["tensors"]]
        if page["next"] is None:
            break
        asked["after"] = page["next"]
    assert seen == sorted(TENSORS)


def test_names_and_parts_filter(anonymous: APIClient, file: File) -> None:
    address = f"/api/hub/files/{file.pk}/tensors"
    assert anonymous.get(address, {"q": "OUT.2"}).json()["matched"] == 11
    assert anonymous.get(address, {"part": "other"}).json()["matched"] == 1
    assert anonymous.get(address, {"q": "nothing like it"}).json()["tensors"] == []


@pytest.mark.parametrize("wrong", ["limit=0", "limit=1001", "limit=x", "part=wheel", "q=" + "a" * 201, "q=%00"])
def test_a_wrong_question_is_named(anonymous: APIClient, file: File, wrong: str) -> None:
    answer = anonymous.get(f"/api/hub/files/{file.pk}/tensors?{wrong}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [wrong.partition("=")[0]])


def test_only_owner_and_moderators_see_folders_of_the_trainers_machine(
    api: APIClient, judge: APIClient, other: APIClient, anonymous: APIClient, file: File
) -> None:
    address = f"/api/hub/files/{file.pk}/metadata"
    for client in (api, judge):
        assert client.get(address).json() | {"source": ""} == {"file_id": file.pk, "source": "", "metadata": METADATA, "hidden": []}
    for client in (other, anonymous):
        seen = client.get(address).json()
        assert seen["hidden"] == ["ss_dataset_dirs", "ss_sd_model_name"]
        assert seen["metadata"] == METADATA | {"ss_dataset_dirs": HIDDEN, "ss_sd_model_name": HIDDEN}


def test_the_header_is_raw_for_its_owner_and_without_folders_for_others(api: APIClient, anonymous: APIClient, file: File) -> None:
    data = storage.path_of("models", storage.blob_name(file.sha256)).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    address = f"/api/hub/files/{file.pk}/header"
    own = api.get(address)
    assert (own.content, own.headers["Content-Type"]) == (data[8 : 8 + length], "application/json")
    assert "X-Weigh-Hidden" not in own.headers
    public = anonymous.get(address)
    assert public.headers["X-Weigh-Hidden"] == "ss_dataset_dirs, ss_sd_model_name"
    assert b"my_sister" not in public.content
    assert b"/home/ada" not in public.content
    told, stored = json.loads(public.content), json.loads(own.content)
    assert {**told, "__metadata__": None} == {**stored, "__metadata__": None}
    plain = published_file(file.version.entry.owner, save(TENSORS, {"format": "pt"}))
    assert anonymous.get(f"/api/hub/files/{plain.pk}/header").content == api.get(f"/api/hub/files/{plain.pk}/header").content


def test_what_a_file_was_found_to_be_holds_no_folders(anonymous: APIClient, creator: Any) -> None:
    file = published_file(creator, save(TENSORS), blob_detected={"kind": "lora", "training": {"base_file": "C:\\Users\\ada\\x.ckpt"}})
    for answer in (anonymous.get(f"/api/hub/files/{file.pk}"), anonymous.get(f"/api/hub/versions/{file.version_id}")):
        assert HIDDEN in answer.content.decode()
        assert "Users" not in answer.content.decode()


def test_a_header_too_long_to_be_looked_through_is_its_owners_alone(
    api: APIClient, anonymous: APIClient, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of 25 MB, as a hostile file may have, would keep a process busy for two seconds at every visit."""
    monkeypatch.setattr(panel, "MAX_LISTED_HEADER", 1000)
    address = f"/api/hub/files/{file.pk}/header"
    refused = anonymous.get(address)
    assert (refused.status_code, refused.json()["code"]) == (409, "tensors:too-many")
    assert api.get(address).status_code == 200


@pytest.mark.parametrize("what", ["tensors", "metadata", "header"])
def test_what_may_not_be_read_looks_like_what_does_not_exist(
    api: APIClient, other: APIClient, anonymous: APIClient, creator: Any, what: str
) -> None:
    draft = published_file(creator, save(TENSORS), version=VersionFactory(entry__owner=creator))
    assert api.get(f"/api/hub/files/{draft.pk}/{what}").status_code == 200
    for client in (other, anonymous):
        secret, missing = client.get(f"/api/hub/files/{draft.pk}/{what}"), client.get(f"/api/hub/files/999999999/{what}")
        assert (secret.status_code, secret.content) == (404, missing.content)


def test_a_file_of_which_no_tensors_are_known_says_so(api: APIClient, creator: Any) -> None:
    file = FileFactory(version__entry__owner=creator, state="queued", blob=None)
    answer = api.get(f"/api/hub/files/{file.pk}/tensors")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-tensors")
    refused = api.get(f"/api/hub/files/{file.pk}/header")
    assert (refused.status_code, refused.json()["code"]) == (409, "header:none")
