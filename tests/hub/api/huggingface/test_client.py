"""The newest unmodified huggingface_hub against a live hub: what people do with it every day."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from registry.models import DownloadCount, File, Token, User
from tests.hub.api.huggingface.conftest import REPO, weights
from tests.hub.published import published_entry, published_file, published_version

errors = pytest.importorskip("huggingface_hub.errors")


@pytest.fixture
def lantern(live_hub: Any, creator: User) -> File:
    version = published_version(published_entry(creator, name="Lantern", slug="lantern"))
    return published_file(creator, weights(), version=version)


def test_downloads(hub: Any, lantern: File, tmp_path: Path) -> None:
    api = hub()
    path = api.hf_hub_download(REPO, "lantern.safetensors", cache_dir=tmp_path)
    assert Path(path).read_bytes() == weights()
    assert Path(path).resolve().name == lantern.sha256
    assert DownloadCount.objects.count() == 1
    folder = api.snapshot_download(REPO, cache_dir=tmp_path / "all")
    assert {path.name for path in Path(folder).iterdir()} == {row.rfilename for row in api.model_info(REPO).siblings}
    assert api.hf_hub_download(REPO, "lantern.safetensors", revision=str(lantern.version_id), cache_dir=tmp_path) == path
    api.hf_hub_download(REPO, "lantern.safetensors", revision="v1", local_dir=tmp_path / "here")
    assert hashlib.sha256((tmp_path / "here" / "lantern.safetensors").read_bytes()).hexdigest() == lantern.sha256


def test_reads_everything_else(hub: Any, lantern: File) -> None:
    api = hub()
    info = api.model_info(REPO, files_metadata=True, securityStatus=True)
    assert info.id == REPO
    assert info.siblings[0].rfilename == "lantern.safetensors"
    assert info.siblings[0].lfs.sha256 == lantern.sha256
    assert "README.md" in api.list_repo_files(REPO)
    tree = list(api.list_repo_tree(REPO, recursive=True, expand=True))
    assert tree[0].security.safe
    assert tree[0].last_commit.oid == info.sha
    [row] = api.get_paths_info(REPO, ["lantern.safetensors", "missing"], expand=True)
    assert row.size == lantern.size_bytes
    assert api.file_exists(REPO, "lantern.safetensors")
    assert not api.file_exists(REPO, "missing")
    assert [branch.name for branch in api.list_repo_refs(REPO).branches] == ["main", "v1"]
    assert [commit.commit_id for commit in api.list_repo_commits(REPO)] == [info.sha]
    assert [model.id for model in api.list_models(search="lantern", full=True)] == [REPO]
    assert api.get_safetensors_metadata(REPO).sharded is False
    assert list(api.parse_safetensors_file_metadata(REPO, "lantern.safetensors").tensors) == ["lantern.weight"]
    api.auth_check(REPO)
    assert api.repo_exists(REPO)
    assert api.revision_exists(REPO, info.sha)
    assert not api.revision_exists(REPO, "v9")


def test_knows_its_errors(hub: Any, lantern: File, creator: User) -> None:
    api = hub(Token.issue(creator, "laptop")[1])
    with pytest.raises(errors.RepositoryNotFoundError):
        api.model_info("ada/none")
    with pytest.raises(errors.RepositoryNotFoundError):
        hub().model_info("ada/none")
    with pytest.raises(errors.RevisionNotFoundError):
        api.model_info(REPO, revision="v9")
    with pytest.raises(errors.RemoteEntryNotFoundError):
        api.hf_hub_download(REPO, "none.safetensors")
    with pytest.raises(errors.RepositoryNotFoundError):
        api.dataset_info(REPO)
    with pytest.raises(errors.HfHubHTTPError, match="Invalid"):
        hub("wh_wrong").whoami()
    assert api.whoami()["name"] == "ada"
    assert api.whoami()["auth"]["accessToken"]["displayName"] == "laptop"


def test_says_why_a_sealed_file_is_withheld(hub: Any, lantern: File, tmp_path: Path) -> None:
    from registry.models import Blob

    Blob.objects.filter(pk=lantern.blob_id).update(sealed=True, verdict="danger")
    File.objects.filter(pk=lantern.pk).update(state="quarantined")
    with pytest.raises(errors.GatedRepoError, match="Danger"):
        hub().hf_hub_download(REPO, "lantern.safetensors", cache_dir=tmp_path)
    assert "lantern.safetensors" not in hub().list_repo_files(REPO)


def test_an_upload_by_xet_fails_with_the_way_around_it_in_its_message(hub: Any, lantern: File, write_token: str, tmp_path: Path) -> None:
    source = tmp_path / "new.safetensors"
    source.write_bytes(weights(4.0))
    with pytest.raises(ConnectionError, match="HF_HUB_DISABLE_XET=1"):
        hub(write_token).upload_file(path_or_fileobj=source, path_in_repo="new.safetensors", repo_id=REPO)
