"""The newest unmodified huggingface_hub pushing to a live hub: repositories, branches, folders, large files in parts, deletions."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import BadRequestError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from registry import catalog
from registry.lifecycle import FileState
from registry.models import Entry, File, Upload, User, Version
from tests.hub.api.huggingface.conftest import weights
from tests.intake import drain
from tests.tiny import lora_safetensors

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""The client's own, where it sends parts."""
REPO = "ada/Paper.Lantern"
CARD = b"""---
license: creativeml-openrail-m
base_model: runwayml/stable-diffusion-v1-5
tags: [Lantern, night]
instance_prompt: paper lantern
---
# Paper lantern

Warm light.
"""


@pytest.fixture(autouse=True)
def large_file_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_HUB_DISABLE_XET=1 does for a client, which reads it when it is imported."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def api(hub: Any, write_token: str) -> HfApi:
    return hub(write_token)


@pytest.fixture
def lora(tmp_path: Path) -> bytes:
    return lora_safetensors(tmp_path / "lora.safetensors").read_bytes()


def test_a_repository_is_made_filled_examined_and_published(api: HfApi, hub: Any, lora: bytes, tmp_path: Path) -> None:
    made = api.create_repo(REPO, private=False)
    assert made.repo_id == REPO
    assert api.create_repo(REPO, exist_ok=True).repo_id == REPO
    api.upload_file(path_or_fileobj=lora, path_in_repo="lantern.safetensors", repo_id=REPO, commit_message="The weights")
    api.upload_file(path_or_fileobj=CARD, path_in_repo="README.md", repo_id=REPO)
    assert api.list_repo_files(REPO) == ["lantern.safetensors", "README.md"]
    with pytest.raises(RepositoryNotFoundError):
        hub().model_info(REPO)
    entry, version = Entry.objects.get(), Version.objects.get()
    assert (entry.kind, version.name, version.base_model, version.trigger_words) == ("other", "v1", "SD 1.5", ["paper lantern"])
    assert (entry.spdx, sorted(tag.name for tag in entry.tags.all())) == ("CreativeML-OpenRAIL-M", ["lantern", "night"])
    assert "Warm light." in entry.description
    drain()
    entry.refresh_from_db()
    assert entry.kind == "lora"
    catalog.publish(Version.objects.get())
    found = Path(hub().hf_hub_download(REPO, "lantern.safetensors", cache_dir=tmp_path))
    assert found.read_bytes() == lora
    assert Path(hub().hf_hub_download(REPO, "README.md", cache_dir=tmp_path)).read_bytes() == CARD


def test_a_large_file_goes_in_parts(api: HfApi, settings: Any) -> None:
    settings.PART_SIZE_BYTES = 5 * 2**20
    _push_large(api)


def test_a_large_file_goes_in_parts_to_s3(s3_stores: None, api: HfApi, settings: Any) -> None:
    settings.PART_SIZE_BYTES = 5 * 2**20
    _push_large(api)


def _push_large(api: HfApi) -> None:
    big = weights(1.0)[:8] + os.urandom(17 * 2**20)
    api.create_repo(REPO)
    pushed = api.upload_file(path_or_fileobj=big, path_in_repo="unet/big.ckpt", repo_id=REPO, revision="main")
    [upload] = Upload.objects.select_related("file")
    assert (upload.part_count, upload.file.state, upload.file.size_bytes) == (4, FileState.QUEUED, len(big))
    assert (upload.file.path, upload.file.name) == ("unet/big.ckpt", "unet.big.ckpt")
    assert api.repo_info(REPO).sha == pushed.oid
    drain()
    upload.file.refresh_from_db()
    assert upload.file.declared_sha256 == upload.file.blob.sha256


def test_a_folder_with_texts_goes_to_a_branch_of_its_own(api: HfApi, lora: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "pipeline"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "model.fp16.safetensors").write_bytes(lora)
    (folder / "unet" / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')
    (folder / "merges.txt").write_text("#version: 0.2\ni n\n")
    api.create_repo(REPO, private=True)
    api.create_branch(REPO, branch="v3")
    api.create_branch(REPO, branch="v3", exist_ok=True)
    pushed = api.upload_folder(repo_id=REPO, folder_path=folder, revision="v3", commit_message="All of it")
    assert pushed.commit_url.startswith(f"{api.endpoint}/{REPO}/commit/")
    assert [branch.name for branch in api.list_repo_refs(REPO).branches] == ["main", "v3"]
    drain()
    files = set(api.list_repo_files(REPO, revision="v3"))
    assert {"unet/model.fp16.safetensors", "unet/config.json", "merges.txt"} <= files
    api.create_branch(REPO, branch="v4", revision="v3")
    api.create_tag(REPO, tag="first", revision="v3", tag_message="as it began")
    drain()
    assert {"unet/model.fp16.safetensors", "unet/config.json"} <= set(api.list_repo_files(REPO, revision="v4"))
    assert "merges.txt" in api.list_repo_files(REPO, revision="first")
    api.delete_tag(REPO, tag="first")
    api.delete_branch(REPO, branch="v4")
    assert [version.branch for version in Version.objects.all()] == ["v3"]
    again = api.upload_folder(repo_id=REPO, folder_path=folder, revision="v3", commit_message="Nothing new")
    assert again.oid == api.repo_info(REPO, revision="v3").sha


def test_replaced_and_deleted_files_stay_in_the_trees_that_had_them(api: HfApi, lora: bytes, tmp_path: Path) -> None:
    api.create_repo(REPO)
    first = api.upload_file(path_or_fileobj=lora, path_in_repo="a.safetensors", repo_id=REPO)
    drain()
    second = api.upload_file(path_or_fileobj=weights(2.0), path_in_repo="a.safetensors", repo_id=REPO)
    drain()
    third = api.delete_file("a.safetensors", REPO)
    assert [file.removed_at is not None for file in File.objects.filter(role="uploaded")] == [True, True]
    assert "a.safetensors" not in api.list_repo_files(REPO)
    for commit, data in ((first, lora), (second, weights(2.0))):
        assert Path(api.hf_hub_download(REPO, "a.safetensors", revision=commit.oid, cache_dir=tmp_path)).read_bytes() == data
    assert "a.safetensors" not in api.list_repo_files(REPO, revision=third.oid)
    with pytest.raises(HfHubHTTPError, match="doesn't exist"):
        api.delete_file("never.safetensors", REPO)


def test_a_parent_that_moved_is_412_unless_only_the_hub_moved_it(api: HfApi, lora: bytes) -> None:
    api.create_repo(REPO)
    base = api.upload_file(path_or_fileobj=lora, path_in_repo="a.safetensors", repo_id=REPO).oid
    drain()
    assert api.repo_info(REPO).sha != base  # the hub added its own
    notes = b"# Notes\n"
    mine = api.create_commit(REPO, [CommitOperationAdd("notes.md", notes)], commit_message="Notes", parent_commit=base)
    assert api.create_commit(REPO, [CommitOperationAdd("notes.md", notes)], commit_message="Notes", parent_commit=base).oid == mine.oid
    with pytest.raises(HfHubHTTPError) as refused:
        api.create_commit(REPO, [CommitOperationAdd("more.md", b"# More\n")], commit_message="More", parent_commit=base)
    assert refused.value.response.status_code == 412
    api.create_commit(REPO, [CommitOperationDelete("notes.md")], commit_message="Away", parent_commit=mine.oid)
    assert "notes.md" not in api.list_repo_files(REPO)


def test_what_lies_is_refused_before_a_byte_moves(api: HfApi) -> None:
    api.create_repo(REPO)
    for path, data in (
        ("a.safetensors", pickle.dumps({"a": 1}, protocol=2)),
        ("b.safetensors", b"PK\x03\x04" + bytes(600)),
        ("run.py", b"print(1)\n"),
        ("notes.json", pickle.dumps([1], protocol=4)),
    ):
        with pytest.raises(BadRequestError):
            api.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=REPO)
    assert not File.objects.exists()
    assert not Upload.objects.exists()


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("true",)


def test_a_dangerous_pickle_ends_sealed_and_its_commit_says_why(api: HfApi, tmp_path: Path) -> None:
    api.create_repo(REPO)
    pushed = api.upload_file(path_or_fileobj=pickle.dumps(Evil(), protocol=2), path_in_repo="evil.ckpt", repo_id=REPO)
    drain()
    assert File.objects.get().state == FileState.QUARANTINED
    with pytest.raises(GatedRepoError) as refused:
        api.hf_hub_download(REPO, "evil.ckpt", revision=pushed.oid, cache_dir=tmp_path)
    assert "system" in str(refused.value)
    api.delete_file("evil.ckpt", REPO)
    assert File.objects.get().removed_at is not None


def test_repositories_are_renamed_hidden_and_deleted(api: HfApi, creator: User) -> None:
    api.create_repo(REPO)
    api.update_repo_settings(REPO, private=True)
    assert Entry.objects.get().visibility == "private"
    with pytest.raises(HfHubHTTPError, match="on request"):
        api.update_repo_settings(REPO, gated="auto")
    api.move_repo(REPO, "ada/other")
    assert api.model_info("ada/other").id == "ada/other"
    api.delete_repo("ada/other")
    assert not Entry.objects.exists()
