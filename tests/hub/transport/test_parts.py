"""Parts of uploads through a real server: what is taken, what is refused, and that nothing is marked by halves."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import signing

from registry import staging, storage, uploads
from registry.models import Upload
from tests.factories import EntryFactory, VersionFactory
from tests.processes import wait_until
from tests.servers import LiveHub, SlowBody, put

MIB = 2**20


@pytest.fixture
def upload(creator: Any, settings: Any, live_hub: LiveHub) -> Upload:
    """An open upload of 12 MiB in three parts: 5, 5 and 2 MiB."""
    settings.PART_SIZE_BYTES = 5 * MIB
    return begin(creator, 12 * MIB)


def begin(owner: Any, size: int, name: str = "a.ckpt") -> Upload:
    begun = uploads.begin(VersionFactory(entry=EntryFactory(owner=owner)), owner, name, size)
    assert isinstance(begun, Upload)
    return begun


def url_of(upload: Upload, number: int, hub: LiveHub) -> str:
    return str(uploads.part_urls(upload, [number], hub.url)[0]["url"])


def part(upload: Upload, number: int, salt: int = 0) -> bytes:
    return bytes([number + salt]) * upload.part_bytes(number)


def code(answer: bytes) -> str:
    body = json.loads(answer)
    assert body["error"].endswith((".", "!"))
    return str(body["code"])


def markers(upload: Upload) -> list[int]:
    return list(staging.received(upload))


def test_every_part_lands_in_its_place_in_any_order(upload: Upload, live_hub: LiveHub) -> None:
    for number in (3, 1, 2):
        status, headers, _ = put(url_of(upload, number, live_hub), part(upload, number))
        assert status == 200
        assert headers["etag"] == f'"{hashlib.md5(part(upload, number)).hexdigest()}"'  # noqa: S324  (what S3 answers)
    assert storage.staged_path(upload.staging_name).read_bytes() == b"".join(part(upload, number) for number in (1, 2, 3))
    assert {number: found["size"] for number, found in staging.received(upload).items()} == {1: 5 * MIB, 2: 5 * MIB, 3: 2 * MIB}
    assert uploads.complete(upload).state == "queued"


def test_a_part_that_is_sent_again_replaces_the_first(upload: Upload, live_hub: LiveHub) -> None:
    put(url_of(upload, 3, live_hub), part(upload, 3))
    _, headers, _ = put(url_of(upload, 3, live_hub), part(upload, 3, salt=9))
    assert staging.received(upload) == {3: {"size": 2 * MIB, "etag": headers["etag"].strip('"')}}


@pytest.mark.parametrize(
    ("size", "status", "says"), [(2 * MIB + 1, 413, "part:too-large"), (2 * MIB - 1, 400, "part:too-short"), (0, 400, "part:too-short")]
)
def test_a_part_of_another_size_is_refused_before_it_is_read(upload: Upload, live_hub: LiveHub, size: int, status: int, says: str) -> None:
    answer = put(url_of(upload, 3, live_hub), bytes(size))
    assert (answer[0], code(answer[2])) == (status, says)
    assert markers(upload) == []


def chunked(url: str, blocks: Iterator[bytes]) -> tuple[int, bytes]:
    """PUT without a Content-Length."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("PUT", f"/{path}", body=blocks, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    with connection.getresponse() as response:
        answer = response.status, response.read()
    connection.close()
    return answer


@pytest.mark.parametrize(("size", "status"), [(2 * MIB, 200), (2 * MIB + 1, 413), (2 * MIB - 1, 400)])
def test_a_body_of_unknown_length_is_counted(upload: Upload, live_hub: LiveHub, size: int, status: int) -> None:
    data = bytes(size)
    blocks = (data[at : at + 100_000] for at in range(0, size, 100_000))
    assert chunked(url_of(upload, 3, live_hub), blocks)[0] == status
    assert markers(upload) == ([3] if status == 200 else [])


def test_a_body_that_is_too_long_never_reaches_the_next_part(upload: Upload, live_hub: LiveHub) -> None:
    put(url_of(upload, 2, live_hub), part(upload, 2))
    size = 5 * MIB + 300_000
    chunked(url_of(upload, 1, live_hub), (b"\xff" * 100_000 for _ in range(size // 100_000)))
    assert storage.staged_path(upload.staging_name).read_bytes()[5 * MIB :] == part(upload, 2)
    assert markers(upload) == [2]


def test_a_changed_token_is_refused(upload: Upload, live_hub: LiveHub) -> None:
    url = url_of(upload, 3, live_hub)
    for forged in (
        url[:-1] + ("A" if url[-1] != "A" else "B"),
        f"{live_hub.url}/upload-parts/",
        f"{live_hub.url}/upload-parts/../../x:y:z",
    ):
        status, _, answer = put(forged, part(upload, 3))
        assert (status, code(answer)) == (403, "part:forged")
    own = signing.dumps({"n": "staging/x", "p": 1, "s": 1, "o": 0}, salt="another purpose")
    assert put(f"{live_hub.url}/upload-parts/{own}", b"x")[0] == 403
    assert markers(upload) == []


def test_an_expired_token_is_refused(upload: Upload, live_hub: LiveHub, settings: Any) -> None:
    url = url_of(upload, 3, live_hub)
    settings.SIGNED_URL_SECONDS = -1
    status, _, answer = put(url, part(upload, 3))
    assert (status, code(answer)) == (403, "part:expired")


def test_nothing_is_written_after_completion(upload: Upload, live_hub: LiveHub) -> None:
    urls = [url_of(upload, number, live_hub) for number in (1, 2, 3)]
    for number, url in enumerate(urls, 1):
        put(url, part(upload, number))
    uploads.complete(upload)
    status, _, answer = put(urls[0], part(upload, 1, salt=9))
    assert (status, code(answer)) == (410, "upload:closed")
    assert storage.staged_path(upload.staging_name).read_bytes()[: 5 * MIB] == part(upload, 1)


def test_a_cancelled_upload_takes_nothing_and_does_not_come_back(upload: Upload, live_hub: LiveHub) -> None:
    url = url_of(upload, 3, live_hub)
    uploads.cancel(upload)
    status, _, answer = put(url, part(upload, 3))
    assert (status, code(answer)) == (410, "upload:closed")
    assert not Path(storage.on_disk().path(upload.staging_name)).exists()  # type: ignore[union-attr]


def test_other_methods_are_refused(upload: Upload, live_hub: LiveHub) -> None:
    host, _, path = url_of(upload, 3, live_hub).removeprefix("http://").partition("/")
    for method in ("GET", "POST", "DELETE"):
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request(method, f"/{path}")
        assert connection.getresponse().status == 405
        connection.close()


def sending(upload: Upload, number: int, hub: LiveHub) -> tuple[threading.Thread, list[Any]]:
    """A thread that is in the middle of sending a part slowly, and where its answer will be."""
    answers: list[Any] = []
    body = SlowBody(part(upload, number), 512 * 1024, 0.15)
    size = {"Content-Length": str(upload.part_bytes(number))}
    thread = threading.Thread(target=lambda: answers.append(put(url_of(upload, number, hub), body, size)))
    thread.start()
    wait_until(lambda: body.at > MIB, 10, 0.01)
    return thread, answers


def test_the_same_part_twice_at_once_has_one_writer(upload: Upload, live_hub: LiveHub) -> None:
    thread, answers = sending(upload, 1, live_hub)
    status, _, answer = put(url_of(upload, 1, live_hub), part(upload, 1, salt=9))
    assert (status, code(answer)) == (409, "part:busy")
    assert put(url_of(upload, 2, live_hub), part(upload, 2))[0] == 200  # another part is not held up
    thread.join()
    assert answers[0][0] == 200
    assert storage.staged_path(upload.staging_name).read_bytes()[: 5 * MIB] == part(upload, 1)
    assert put(url_of(upload, 1, live_hub), part(upload, 1, salt=9))[0] == 200


def test_completion_waits_for_a_part_that_is_arriving(upload: Upload, live_hub: LiveHub) -> None:
    for number in (1, 2, 3):
        put(url_of(upload, number, live_hub), part(upload, number))
    thread, answers = sending(upload, 1, live_hub)
    with pytest.raises(uploads.Refused, match="still arriving"):
        uploads.complete(upload)
    thread.join()
    assert answers[0][0] == 200
    assert uploads.complete(upload).state == "queued"


def test_a_connection_that_breaks_leaves_no_marker_and_no_lock(upload: Upload, live_hub: LiveHub) -> None:
    put(url_of(upload, 1, live_hub), part(upload, 1))
    path = url_of(upload, 1, live_hub).removeprefix(live_hub.url)
    with socket.create_connection(("127.0.0.1", live_hub.port)) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {5 * MIB}\r\n\r\n".encode() + bytes(3 * MIB))
        wait_until(lambda: markers(upload) == [], 10)  # the first new byte takes the old marker away
    wait_until(lambda: put(url_of(upload, 1, live_hub), part(upload, 1))[0] == 200, 10)
    assert markers(upload) == [1]


def test_pages_go_on_while_parts_arrive(upload: Upload, live_hub: LiveHub) -> None:
    """Forty slow senders hold no worker: there are sixteen."""
    path = url_of(upload, 1, live_hub).removeprefix(live_hub.url)
    head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {5 * MIB}\r\n\r\n".encode()
    senders = [socket.create_connection(("127.0.0.1", live_hub.port)) for _ in range(40)]
    for sender in senders:
        sender.sendall(head)
    connection = http.client.HTTPConnection("127.0.0.1", live_hub.port, timeout=5)
    connection.request("GET", "/api/hub/entries/1")
    assert connection.getresponse().status == 404
    connection.close()
    for sender in senders:
        sender.close()


@pytest.fixture
def small_disk(stores: Path) -> Iterator[Path]:
    """The models store on a file system of 16 MiB."""
    folder = stores / "models"
    folder.mkdir(parents=True)
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("a small file system can only be mounted by root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine refuses to mount a tmpfs: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_said_and_loses_nothing(small_disk: Path, upload: Upload, live_hub: LiveHub) -> None:
    assert put(url_of(upload, 1, live_hub), part(upload, 1))[0] == 200
    filler = small_disk / "filler"
    filler.write_bytes(bytes(9 * MIB))
    status, _, answer = put(url_of(upload, 2, live_hub), part(upload, 2))
    assert (status, code(answer)) == (507, "upload:disk-full")
    assert markers(upload) == [1]
    filler.unlink()
    for number in (2, 3):
        assert put(url_of(upload, number, live_hub), part(upload, number))[0] == 200
    uploads.complete(upload)
    assert storage.staged_path(upload.staging_name).read_bytes() == b"".join(part(upload, number) for number in (1, 2, 3))


def test_an_upload_that_cannot_fit_is_refused_at_the_start(small_disk: Path, creator: Any) -> None:
    with pytest.raises(uploads.Refused) as refused:
        begin(creator, 40 * MIB)
    assert (refused.value.code, refused.value.status) == ("upload:disk-full", 507)
