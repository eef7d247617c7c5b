"""Signed addresses, and downloads as people make them: curl against the real server."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
from django.test import Client, RequestFactory

from hub import downloads
from registry import catalog
from registry.models import Blob, Entry, File
from tests.hub.published import published_entry, published_file, published_version
from tests.processes import wait_until
from tests.servers import LiveHub, resident_bytes

ORIGIN = "http://testserver"
DATA = os.urandom(300_000)


def path_of(url: str) -> str:
    return url.removeprefix(ORIGIN)


@pytest.fixture
def file(creator: Any) -> File:
    return published_file(creator, DATA)


# --- the address ------------------------------------------------------------------------------------------------------------


def test_a_signed_address_names_the_file_and_needs_no_sign_in(file: File, client: Client) -> None:
    url = downloads.signed_url(ORIGIN, file)
    assert url.startswith(f"{ORIGIN}/files/{file.pk}/lantern.safetensors?")
    assert parse_qs(urlsplit(url).query)["response-content-disposition"] == ['attachment; filename="lantern.safetensors"']
    response = client.get(path_of(url), headers={"authorization": "Bearer None"})
    assert response.status_code == 200
    assert response["X-Accel-Redirect"] == f"/protected/models/blobs/sha256/{file.sha256[:2]}/{file.sha256[2:4]}/{file.sha256}"
    assert response["Content-Disposition"] == 'attachment; filename="lantern.safetensors"'
    assert response["ETag"] == f'"{file.sha256}"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"].startswith("sandbox")
    assert response["Cache-Control"] == "private, no-cache"
    assert not response.content


def test_the_stable_address_is_absolute_on_the_host_that_was_asked(file: File, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["hub.example"]
    request = RequestFactory().get("/", headers={"host": "hub.example"})
    assert downloads.download_url(request, file) == f"http://hub.example/api/download/models/{file.version_id}?fileId={file.pk}"


@pytest.mark.parametrize("key", ["response-content-disposition", "expires", "for", "signature"])
@pytest.mark.parametrize("change", ["altered", "dropped"])
def test_an_altered_address_is_refused(file: File, client: Client, key: str, change: str) -> None:
    address = urlsplit(downloads.signed_url(ORIGIN, file))
    query = dict(parse_qsl(address.query))
    if change == "dropped":
        del query[key]
    else:
        query[key] = {"expires": str(int(query["expires"]) + 1), "for": "owner", "signature": "é" * 64}.get(key, query[key] + "x")
    response = client.get(f"{address.path}?{urlencode(query)}")
    assert response.status_code == 403
    assert "error" in response.json()


def test_an_address_is_good_for_one_file_and_one_name(file: File, client: Client, creator: Any) -> None:
    other = published_file(creator, b"other bytes", "other.safetensors")
    query = urlsplit(downloads.signed_url(ORIGIN, file)).query
    assert client.get(f"/files/{other.pk}/lantern.safetensors?{query}").status_code == 403
    assert client.get(f"/files/{file.pk}/renamed.safetensors?{query}").status_code == 403
    assert client.get(f"/files/{'9' * 40}/lantern.safetensors?{query}").status_code == 403


def test_an_expired_address_says_so(file: File, client: Client, settings: Any) -> None:
    settings.SIGNED_URL_SECONDS = -1
    response = client.get(path_of(downloads.signed_url(ORIGIN, file)))
    assert response.status_code == 403
    assert "expired" in response.json()["error"]


def test_only_reading(file: File, client: Client) -> None:
    url = path_of(downloads.signed_url(ORIGIN, file))
    assert client.head(url).status_code == 200
    for method in (client.post, client.put, client.delete):
        assert method(url).status_code == 405


def test_pages_of_other_origins_may_ask_first_and_read_ranges(file: File, client: Client) -> None:
    url = path_of(downloads.signed_url(ORIGIN, file))
    asked = client.options(url, headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Headers": "range"})
    assert (asked.status_code, asked["Access-Control-Allow-Origin"]) == (200, "*")
    assert "Range" in asked["Access-Control-Allow-Headers"]
    assert "Content-Range" in client.get(url)["Access-Control-Expose-Headers"]


def seal(file: File) -> None:
    Blob.objects.filter(pk=file.blob_id).update(sealed=True)


def suspect(file: File) -> None:
    Blob.objects.filter(pk=file.blob_id).update(verdict="suspicious")


def withdraw(file: File) -> None:
    catalog.withdraw(file.version)


def delete_entry(file: File) -> None:
    catalog.delete_entry(file.version.entry)


def hide(file: File) -> None:
    Entry.objects.filter(pk=file.version.entry_id).update(visibility="private")


def in_work(file: File) -> None:
    File.objects.filter(pk=file.pk).update(state="danger")


def forget(file: File) -> None:
    File.objects.filter(pk=file.pk).delete()


@pytest.mark.parametrize("revoke", [seal, suspect, withdraw, delete_entry, hide, in_work, forget])
def test_a_link_dies_with_the_right_to_have_the_file(file: File, client: Client, revoke: Any) -> None:
    url = path_of(downloads.signed_url(ORIGIN, file))
    assert client.get(url).status_code == 200
    revoke(file)
    response = client.get(url)
    assert response.status_code == 410
    assert "X-Accel-Redirect" not in response


def test_a_creators_link_to_a_private_file_works(creator: Any, client: Client) -> None:
    version = published_version(published_entry(creator, visibility="private"))
    private = published_file(creator, b"mine alone", version=version)
    assert client.get(path_of(downloads.signed_url(ORIGIN, private))).status_code == 200


def test_bytes_that_are_not_those_that_were_hashed_are_not_sent(file: File, client: Client, stores: Path, caplog: Any) -> None:
    url = path_of(downloads.signed_url(ORIGIN, file))
    path = next((stores / "models").rglob(file.sha256))
    path.write_bytes(b"something else")
    response = client.get(url)
    assert response.status_code == 503
    assert file.sha256 in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        'a"; filename="evil.exe',
        "a\r\nX-Evil: 1.safetensors",
        "a\x00b.safetensors",
        "..\\..\\evil.safetensors",
        "../../evil.safetensors",
        "a;b=c.ckpt",
    ],
)
def test_a_hostile_name_cannot_leave_its_quotes(file: File, client: Client, name: str) -> None:
    response = client.get(path_of(downloads.signed_url(ORIGIN, file, name=name)))
    assert response.status_code == 200
    value = response["Content-Disposition"]
    assert value.startswith('attachment; filename="')
    assert value.endswith('"')
    assert value.count('"') == 2
    assert not set(value) & set("\r\n\x00\\")
    assert "X-Evil" not in response.headers


def test_an_s3_address_is_the_buckets_own(s3_stores: None, creator: Any) -> None:
    import urllib.error
    import urllib.request

    from registry.storage import blob_name, bucket

    stored = _s3_file(creator)
    bucket("models").put_object(Key=blob_name(stored.sha256), Body=DATA)
    request = RequestFactory().get("/")
    url = downloads.signed_url(request, stored, name="ランタン.safetensors")
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=5-9"})) as response:
        assert (response.status, response.read()) == (206, DATA[5:10])
        assert response.headers["Content-Disposition"].encode("latin-1").decode() == 'attachment; filename="ランタン.safetensors"'
    with urllib.request.urlopen(
        urllib.request.Request(downloads.signed_url(RequestFactory().head("/"), stored), method="HEAD")
    ) as response:
        assert response.headers["Content-Length"] == str(len(DATA))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url.replace("X-Amz-Expires=", "X-Amz-Expires=1"))


def _s3_file(creator: Any) -> File:
    from tests.factories import BlobFactory, FileFactory

    blob = BlobFactory(sha256=hashlib.sha256(DATA).hexdigest(), size_bytes=len(DATA))
    return FileFactory(version=published_version(published_entry(creator)), blob=blob, size_bytes=len(DATA))


# --- through the real server ------------------------------------------------------------------------------------------------


def curl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["curl", "-sS", "--fail", "--max-time", "60", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_curl_saves_the_file_under_its_name(live_hub: LiveHub, creator: Any, tmp_path: Path) -> None:
    file = published_file(creator, DATA, "Lantern v1.0 (final).safetensors")
    done = curl(tmp_path, "-JLO", f"{live_hub.url}/api/download/models/{file.version_id}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "Lantern v1.0 (final).safetensors").read_bytes() == DATA


def test_curl_resumes_where_it_was_cut(live_hub: LiveHub, creator: Any, tmp_path: Path) -> None:
    file = published_file(creator, DATA)
    (tmp_path / "part").write_bytes(DATA[:123_457])
    done = curl(tmp_path, "-L", "-C", "-", "-o", "part", f"{live_hub.url}//api/download/models/{file.version_id}", "-w", "%{http_code}")
    assert (done.returncode, done.stdout) == (0, "206"), done.stderr
    assert (tmp_path / "part").read_bytes() == DATA


def test_a_name_beyond_ascii_arrives_as_it_is(live_hub: LiveHub, creator: Any, tmp_path: Path) -> None:
    file = published_file(creator, DATA, "ランタン é 🏮.safetensors")
    done = curl(tmp_path, "-JLO", "-D", "headers", f"{live_hub.url}/api/download/models/{file.version_id}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ランタン é 🏮.safetensors").read_bytes() == DATA
    assert 'attachment; filename="ランタン é 🏮.safetensors"\r\n'.encode() in (tmp_path / "headers").read_bytes()
    assert b"filename*" not in (tmp_path / "headers").read_bytes()


def ask(hub: LiveHub, url: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=30)
    connection.request(method, url.removeprefix(hub.url), headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    response.data = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def test_ranges_conditions_and_head_through_the_whole_chain(live_hub: LiveHub, creator: Any) -> None:
    file = published_file(creator, DATA)
    url = downloads.signed_url(live_hub.url, file)
    tag = f'"{file.sha256}"'
    whole = ask(live_hub, url)
    assert (whole.status, whole.data, whole.headers["ETag"], whole.headers["Accept-Ranges"]) == (200, DATA, tag, "bytes")  # type: ignore[attr-defined]
    part = ask(live_hub, url, Range="bytes=-1000", If_Range=tag)
    assert (part.status, part.data) == (206, DATA[-1000:])  # type: ignore[attr-defined]
    assert ask(live_hub, url, Range="bytes=0-9", If_Range='"old"').status == 200
    assert ask(live_hub, url, Range="bytes=300000-").headers["Content-Range"] == "bytes */300000"
    assert ask(live_hub, url, If_None_Match=tag).status == 304
    head = ask(live_hub, url, "HEAD", Authorization="Bearer None")
    assert (head.status, head.headers["Content-Length"], head.headers["Content-Type"]) == (200, "300000", "application/octet-stream")


def test_slow_downloads_hold_neither_workers_nor_memory(live_hub: LiveHub, creator: Any, stores: Path) -> None:
    file = published_file(creator, b"x")
    size = 256 * 2**20
    path = next((stores / "models").rglob(file.sha256))
    with path.open("wb") as target:
        target.truncate(size)
    Blob.objects.filter(pk=file.blob_id).update(size_bytes=size)
    address = urlsplit(downloads.signed_url(live_hub.url, file))
    before = resident_bytes(os.getpid())
    clients = [_slow_client(live_hub, f"{address.path}?{address.query}") for _ in range(24)]
    begun = time.monotonic()
    assert ask(live_hub, "/api/v1/models").status == 200
    assert b"database" in ask(live_hub, "/healthz").data  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 5
    assert resident_bytes(os.getpid()) - before < 160 * 2**20
    for client in clients:
        client.close()
    wait_until(lambda: not _open_handles(path), 10)


def _slow_client(hub: LiveHub, target: str) -> socket.socket:
    """Asks for the whole file and reads its first bytes only."""
    client = socket.create_connection(("127.0.0.1", hub.port), timeout=20)
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert client.recv(4096).startswith(b"HTTP/1.1 200")
    return client


def _open_handles(path: Path) -> list[str]:
    found = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            if handle.readlink() == path:
                found.append(handle.name)
        except FileNotFoundError:
            continue
    return found


def test_a_client_that_reads_the_location_itself_finds_name_and_host(live_hub: LiveHub, creator: Any) -> None:
    file = published_file(creator, DATA, "a b.safetensors")
    answer = ask(live_hub, f"/api/download/models/{file.version_id}")
    assert answer.status == 307
    location = answer.headers["Location"]
    assert location.startswith(f"{live_hub.url}/files/{file.pk}/{quote('a b.safetensors')}?response-content-disposition=")
    assert parse_qs(urlsplit(location).query)["response-content-disposition"] == ['attachment; filename="a b.safetensors"']
