"""Fetching one file: what HEAD promises, what GET sends, what is counted, on local disk and on S3."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from registry import storage
from registry.models import Blob, DownloadCount, File, User, Version
from tests.factories import VersionFactory
from tests.hub.api.huggingface.conftest import Call, weights
from tests.hub.published import published_entry, published_file, published_version

PATH = "/ada/lantern/resolve/main/lantern.safetensors"


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers in lower case, body), redirects not followed."""
    opener = urllib.request.build_opener(_Stay)
    request = urllib.request.Request(url, method=method, headers={key.replace("_", "-"): value for key, value in headers.items()})
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, {key.lower(): value for key, value in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {key.lower(): value for key, value in error.headers.items()}, error.read()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def lantern(creator: User, **fields: Any) -> File:
    return published_file(creator, weights(), version=published_version(published_entry(creator, slug="lantern")), **fields)


def on_s3(creator: User) -> tuple[bytes, str]:
    """(bytes, SHA-256) of the published lantern.safetensors, stored in the bucket."""
    version, data = published_version(published_entry(creator, slug="lantern")), weights()
    sha256 = hashlib.sha256(data).hexdigest()
    storage.bucket("models").put_object(Key=storage.blob_name(sha256), Body=data)
    blob = Blob.objects.create(sha256=sha256, size_bytes=len(data), verdict="success", container="safetensors")
    File.objects.create(version=version, name="lantern.safetensors", blob=blob, size_bytes=len(data), state="ready")
    return data, sha256


def test_the_hub_sends_the_bytes_itself(live_hub: Any, creator: User) -> None:
    file = lantern(creator)
    status, headers, body = ask(live_hub.url + PATH, "HEAD")
    assert (status, body) == (200, b"")
    assert headers["content-length"] == headers["x-linked-size"] == str(file.size_bytes)
    assert headers["etag"] == headers["x-linked-etag"] == f'"{file.sha256}"'
    assert headers["accept-ranges"] == "bytes"
    assert len(headers["x-repo-commit"]) == 40
    assert "location" not in headers
    assert DownloadCount.objects.count() == 0
    assert ask(live_hub.url + PATH)[2] == weights()
    assert DownloadCount.objects.count() == 1


def test_ranges_of_weights(live_hub: Any, creator: User) -> None:
    file = lantern(creator)
    status, headers, body = ask(live_hub.url + PATH, Range="bytes=10-")
    assert (status, body) == (206, weights()[10:])
    assert headers["content-range"] == f"bytes 10-{file.size_bytes - 1}/{file.size_bytes}"
    assert DownloadCount.objects.count() == 0
    status, headers, _ = ask(live_hub.url + PATH, Range=f"bytes={file.size_bytes}-")
    assert (status, headers["content-range"]) == (416, f"bytes */{file.size_bytes}")
    assert ask(live_hub.url + PATH, If_None_Match=f'"{file.sha256}"')[0] == 304


def test_texts_have_gits_names_and_ranges(live_hub: Any, creator: User) -> None:
    lantern(creator)
    url = live_hub.url + "/ada/lantern/resolve/main/README.md"
    status, headers, body = ask(url)
    assert status == 200
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    tree = ask(live_hub.url + "/api/models/ada/lantern/tree/main")[2]
    assert headers["etag"].strip('"') in tree.decode()
    assert ask(url, "HEAD")[1]["content-length"] == str(len(body))
    assert ask(url, Range="bytes=3-6")[::2] == (206, body[3:7])
    assert ask(url, Range=f"bytes={len(body)}-")[0] == 416
    assert ask(url, If_None_Match=headers["etag"])[0] == 304


def test_on_s3_head_is_answered_here_and_get_leads_to_the_bucket(live_hub: Any, s3_stores: None, creator: User) -> None:
    data, sha256 = on_s3(creator)
    status, headers, _ = ask(live_hub.url + PATH, "HEAD")
    assert (status, headers["content-length"], headers["x-linked-size"]) == (200, str(len(data)), str(len(data)))
    assert headers["etag"] == headers["x-linked-etag"] == f'"{sha256}"'
    status, headers, _ = ask(live_hub.url + PATH)
    assert (status, headers["x-linked-size"], headers["x-linked-etag"]) == (302, str(len(data)), f'"{sha256}"')
    assert DownloadCount.objects.count() == 1
    assert ask(headers["location"])[2] == data
    assert ask(headers["location"], Range="bytes=4-")[::2] == (206, data[4:])


def test_a_token_that_is_sent_along_to_the_bucket_does_no_harm(
    live_hub: Any, hub: Any, s3_stores: None, creator: User, write_token: str, tmp_path: Any, settings: Any
) -> None:
    settings.S3 = {**settings.S3, "public_endpoint": ""}
    data, _ = on_s3(creator)
    bearer = {"Authorization": f"Bearer {write_token}"}
    _, headers, _ = ask(live_hub.url + PATH, **bearer)
    assert headers["location"].startswith(live_hub.url)
    assert ask(headers["location"], **bearer)[2] == data
    path = hub(write_token).hf_hub_download("ada/lantern", "lantern.safetensors", cache_dir=tmp_path)
    assert Path(path).read_bytes() == data


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-"}, {"Range": "bytes=0-7"}])
def test_a_get_from_the_start_is_a_download(call: Call, file: File, headers: dict[str, str]) -> None:
    call(PATH, headers=headers)
    assert DownloadCount.objects.filter(file_id=file.pk).count() == 1


@pytest.mark.parametrize(("method", "headers"), [("head", {}), ("get", {"Range": "bytes=5-"}), ("get", {"Range": "bytes=-5"})])
def test_heads_and_resumed_ranges_are_none(call: Call, file: File, method: str, headers: dict[str, str]) -> None:
    call(PATH, method=method, headers=headers)
    call("/ada/lantern/resolve/main/README.md")
    assert DownloadCount.objects.count() == 0


def test_a_creators_own_drafts_are_not_counted(people: dict[str, Call], creator: User, version: Version) -> None:
    draft = VersionFactory(entry=version.entry, name="v2")
    published_file(creator, weights(), version=draft)
    assert people["owner"]("/ada/lantern/resolve/v2/lantern.safetensors").status_code == 200
    assert DownloadCount.objects.count() == 0


@pytest.mark.parametrize("alias", ["model.safetensors", "learned_embeds.safetensors"])
def test_an_alias_leads_to_the_primary_file_and_is_not_listed(call: Call, file: File, alias: str) -> None:
    answer = call(f"/ada/lantern/resolve/main/{alias}", method="head")
    assert answer["ETag"] == f'"{file.sha256}"'
    assert alias not in call("/api/models/ada/lantern").content.decode()


def test_the_name_that_pages_show_leads_to_the_file_too(call: Call, file: File, creator: User) -> None:
    half = published_file(creator, weights(2.0), "lantern-pruned-fp16.safetensors", version=file.version, role="derived", source=file,
                          recipe={"keep": "weights", "precision": "fp16"})  # fmt: skip
    listed = [row["rfilename"] for row in call("/api/models/ada/lantern").json()["siblings"]]
    assert "lantern-pruned-fp16.safetensors" not in listed
    assert call("/ada/lantern/resolve/main/lantern-pruned-fp16.safetensors")["ETag"] == f'"{half.sha256}"'
    assert call("/ada/lantern/resolve/main/sub/lantern-pruned-fp16.safetensors").status_code == 404


def test_a_real_file_of_that_name_comes_before_the_alias(call: Call, file: File, creator: User) -> None:
    real = published_file(creator, weights(9.0), "model.safetensors", version=file.version)
    assert call("/ada/lantern/resolve/main/model.safetensors", method="head")["ETag"] == f'"{real.sha256}"'


def test_a_missing_file_is_told_with_the_commit(call: Call, file: File) -> None:
    answer = call("/ada/lantern/resolve/main/config.json", method="head")
    assert (answer.status_code, answer["X-Error-Code"]) == (404, "EntryNotFound")
    assert answer["X-Repo-Commit"] == call("/api/models/ada/lantern").json()["sha"]


def test_released_files_are_sent_with_a_warning(call: Call, file: File) -> None:
    Blob.objects.filter(pk=file.blob_id).update(verdict="suspicious", released=True)
    answer = call(PATH, method="head")
    assert answer.status_code == 200
    topic, _, text = answer["X-HF-Warning"].partition(";")
    assert topic == "scan"
    assert "released" in text
    [row] = call("/api/models/ada/lantern/paths-info/main", {"paths": "lantern.safetensors", "expand": "true"}, "post").json()
    assert row["securityFileStatus"]["status"] == "caution"


def test_names_beyond_ascii(live_hub: Any, creator: User) -> None:
    published_file(creator, weights(), "灯籠.safetensors", version=published_version(published_entry(creator, slug="lantern")))
    status, headers, body = ask(live_hub.url + "/ada/lantern/resolve/main/%E7%81%AF%E7%B1%A0.safetensors")
    assert (status, body) == (200, weights())
    assert "灯籠.safetensors" in headers["content-disposition"].encode("latin-1").decode()
