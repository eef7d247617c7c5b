"""The upload protocol and downloads on S3, through the site's own port: a real S3 server, a real web server, presigned requests."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from typing import Any

import pytest

from hub.downloads import signed_url
from registry import staging, storage, uploads
from registry.models import File, Upload
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.intake import drain
from tests.servers import LiveHub, put

MIB = 2**20
DATA = b"".join(bytes([number]) * MIB for number in range(12))


@pytest.fixture
def own_port(s3_stores: None, settings: Any) -> None:
    """Presigned addresses name the site itself."""
    settings.S3 = {**settings.S3, "public_endpoint": ""}
    settings.PART_SIZE_BYTES = 5 * MIB


def begin(owner: Any) -> Upload:
    begun = uploads.begin(VersionFactory(entry=EntryFactory(owner=owner)), owner, "a.ckpt", len(DATA))
    assert isinstance(begun, Upload)
    return begun


def send(upload: Upload, number: int, hub: LiveHub) -> str:
    """Send one part; its ETag."""
    url = str(uploads.part_urls(upload, [number], hub.url)[0]["url"])
    assert url.startswith(hub.url)
    start = (number - 1) * upload.part_size_bytes
    status, headers, answer = put(url, DATA[start : start + upload.part_size_bytes])
    assert status == 200, answer
    return headers["etag"].strip('"')


def get(url: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, Any, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}, method=method), timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_the_same_protocol_on_s3(own_port: None, live_hub: LiveHub, creator: Any) -> None:
    upload = begin(creator)
    etags = {number: send(upload, number, live_hub) for number in (3, 1)}
    with pytest.raises(uploads.Refused, match="1 of 3 parts are missing or have a wrong size: 2"):
        uploads.complete(upload)
    assert list(staging.received(upload)) == [1, 3]  # what a reload sees
    etags[2] = send(upload, 2, live_hub)
    with pytest.raises(uploads.Refused, match="another ETag"):
        uploads.complete(upload, {**etags, 1: "0" * 32})
    file = uploads.complete(upload, etags)
    assert uploads.complete(upload).pk == file.pk
    drain()
    file.refresh_from_db()
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()


def test_a_part_address_is_worthless_after_completion(own_port: None, live_hub: LiveHub, creator: Any) -> None:
    upload = begin(creator)
    url = str(uploads.part_urls(upload, [1], live_hub.url)[0]["url"])
    for number in (1, 2, 3):
        send(upload, number, live_hub)
    uploads.complete(upload)
    assert put(url, bytes(5 * MIB))[0] == 404
    with storage.open_staged(upload.staging_name) as staged:
        assert hashlib.sha256(staged.read()).digest() == hashlib.sha256(DATA).digest()


def stored(creator: Any, data: bytes) -> File:
    """A ready file whose bytes lie in the bucket."""
    digest = hashlib.sha256(data).hexdigest()
    storage.bucket("models").put_object(Key=storage.blob_name(digest), Body=data)
    blob = BlobFactory(sha256=digest, size_bytes=len(data))
    return FileFactory(version=VersionFactory(entry=EntryFactory(owner=creator)), blob=blob, size_bytes=len(data))


def test_downloads_pass_with_ranges_and_are_never_rendered(own_port: None, live_hub: LiveHub, creator: Any) -> None:
    url = signed_url(live_hub.url, stored(creator, DATA))
    status, headers, body = get(url, {"Authorization": "Bearer wh_x", "Cookie": "sessionid=x"})  # the hub's, not for S3
    assert (status, body) == (200, DATA)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Content-Security-Policy"].startswith("sandbox")
    status, headers, body = get(url, {"Range": "bytes=1048570-1048580"})
    assert (status, body) == (206, DATA[1048570:1048581])
    assert headers["Content-Range"] == f"bytes 1048570-1048580/{len(DATA)}"


def test_an_address_for_get_answers_head_too(own_port: None, live_hub: LiveHub, creator: Any) -> None:
    url = signed_url(live_hub.url, stored(creator, DATA), name="ランタン.safetensors")
    status, headers, body = get(url, {"Authorization": "Bearer None"}, "HEAD")
    assert (status, body, headers["Content-Length"], headers["Accept-Ranges"]) == (200, b"", str(len(DATA)), "bytes")
    assert headers["Content-Disposition"].encode("latin-1").decode() == 'attachment; filename="ランタン.safetensors"'
    assert get(url)[2] == DATA
    assert get(url.replace("X-Amz-Expires=", "X-Amz-Expires=1"), method="HEAD")[0] == 403


def test_a_part_is_sent_of_the_bytes_that_the_client_began_with(own_port: None, live_hub: LiveHub, creator: Any) -> None:
    url = signed_url(live_hub.url, stored(creator, DATA))
    _, headers, _ = get(url, method="HEAD")
    tag, date = headers["ETag"], headers["Last-Modified"]
    assert not tag.startswith("W/")
    for same in (tag, date):
        status, _, body = get(url, {"Range": "bytes=7000000-", "If-Range": same})
        assert (status, body) == (206, DATA[7000000:])
    for other in ('"of another file"', f"W/{tag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        status, _, body = get(url, {"Range": "bytes=7000000-", "If-Range": other})
        assert (status, len(body)) == (200, len(DATA))
    status, headers, _ = get(url, {"Range": f"bytes={len(DATA)}-"})
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


def test_a_changed_signature_is_refused_by_s3(own_port: None, live_hub: LiveHub, creator: Any) -> None:
    url = signed_url(live_hub.url, stored(creator, b"secret"))
    before, _, signature = url.partition("X-Amz-Signature=")
    status, _, body = get(f"{before}X-Amz-Signature={'0' * 64}{signature[64:]}")
    assert status == 403
    assert b"secret" not in body


def test_only_presigned_requests_for_our_buckets_reach_s3(own_port: None, live_hub: LiveHub, settings: Any) -> None:
    bucket = settings.S3_BUCKETS["models"]
    for path in (f"/{bucket}/x", "/another-bucket/x?X-Amz-Signature=1"):
        status, headers, _ = get(live_hub.url + path)
        assert (status, headers.get("X-Request-Id") is not None) == (404, True)  # Django's answer


def test_an_s3_server_that_is_away_is_a_sentence(own_port: None, live_hub: LiveHub, settings: Any) -> None:
    address = f"{live_hub.url}/{settings.S3_BUCKETS['models']}/x?X-Amz-Signature=1"
    settings.S3 = {**settings.S3, "endpoint_url": "http://127.0.0.1:9"}
    status, headers, body = get(address)
    assert (status, headers["Retry-After"]) == (502, "10")
    assert b"file store does not answer" in body
