"""The layer that sends files: which bytes, under which headers, and what it refuses; on its own, without Django's views."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hub.transport.accel import READ_BYTES, Accel
from hub.transport.ranges import answer
from hub.transport.slashes import SingleSlash

ETAG = b'"0123abcd"'
DATA = bytes(range(256)) * 40


@dataclass
class Reply:
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False


def view(target: bytes, *extra: tuple[bytes, bytes]) -> Any:
    """An inner application that answers as a Django view does: headers and an empty body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [
            (b"X-Accel-Redirect", target),
            (b"ETag", ETAG),
            (b"Content-Length", b"0"),
            (b"content-type", b"application/octet-stream"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, *extra]})
        await send({"type": "http.response.body", "body": b""})

    return app


def ask(app: Any, method: str = "GET", **headers: str) -> Reply:
    reply = Reply()

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            reply.status, reply.headers = message["status"], dict(message["headers"])
        else:
            reply.body += message["body"]
            reply.whole = not message.get("more_body")

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(app({"type": "http", "method": method, "headers": pairs, "path": "/"}, receive, send))
    return reply


@pytest.fixture
def served(stores: Path) -> Any:
    path = stores / "models" / "blobs" / "x"
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return Accel(view(b"/protected/models/blobs/x", (b"Content-Disposition", b'attachment; filename="x"')))


def test_the_whole_file_with_the_views_headers(served: Any) -> None:
    reply = ask(served)
    assert (reply.status, reply.body, reply.whole) == (200, DATA, True)
    assert reply.headers[b"content-length"] == b"10240"
    assert reply.headers[b"etag"] == ETAG
    assert reply.headers[b"accept-ranges"] == b"bytes"
    assert reply.headers[b"content-disposition"] == b'attachment; filename="x"'
    assert reply.headers[b"last-modified"] == b"Tue, 14 Nov 2023 22:13:20 GMT"
    assert b"x-accel-redirect" not in reply.headers


def test_head_has_the_headers_and_no_bytes(served: Any) -> None:
    reply = ask(served, "HEAD")
    assert (reply.status, reply.body, reply.headers[b"content-length"], reply.whole) == (200, b"", b"10240", True)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), ("bytes=10000-", 10000, 10239), ("bytes=-7", 10233, 10239), ("bytes=0-99999", 0, 10239),
     ("bytes=-99999", 0, 10239), ("BYTES=1-2", 1, 2)],
)  # fmt: skip
def test_a_range_is_answered_with_its_bytes(served: Any, asked: str, start: int, end: int) -> None:
    reply = ask(served, range=asked)
    assert (reply.status, reply.body) == (206, DATA[start : end + 1])
    assert reply.headers[b"content-range"] == b"bytes %d-%d/10240" % (start, end)
    assert reply.headers[b"content-length"] == b"%d" % (end - start + 1)


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_beyond_the_end_is_416(served: Any, asked: str) -> None:
    reply = ask(served, range=asked)
    assert (reply.status, reply.body, reply.headers[b"content-range"]) == (416, b"", b"bytes */10240")


@pytest.mark.parametrize(
    "asked", ["bytes=9-5", "bytes=-", "lines=1-2", "bytes=a-b", "bytes=0-1,5-6", "bytes=" + "9" * 5000 + "-", "bytes=١-٢"]
)
def test_what_is_no_single_range_gets_the_whole_file(served: Any, asked: str) -> None:
    assert ask(served, range=asked).status == 200


def test_an_unchanged_file_is_not_sent_again(served: Any) -> None:
    for tags in (ETAG.decode(), f'"other", {ETAG.decode()}', "*", f"W/{ETAG.decode()}"):
        reply = ask(served, if_none_match=tags, range="bytes=0-1")
        assert (reply.status, reply.body, reply.headers[b"etag"]) == (304, b"", ETAG)
    assert ask(served, if_none_match='"other"').status == 200


def test_a_date_counts_only_without_a_tag(served: Any) -> None:
    same, before = formatdate(1_700_000_000, usegmt=True), formatdate(1_699_999_999, usegmt=True)
    assert ask(served, if_modified_since=same).status == 304
    assert ask(served, if_modified_since=before).status == 200
    assert ask(served, if_modified_since=same, if_none_match='"other"').status == 200
    assert ask(served, if_modified_since="soon").status == 200


def test_a_resumed_download_is_whole_again_when_the_file_changed(served: Any) -> None:
    same = formatdate(1_700_000_000, usegmt=True)
    for condition in (ETAG.decode(), same):
        assert ask(served, range="bytes=5-", if_range=condition).status == 206
    for condition in ('"other"', f"W/{ETAG.decode()}", formatdate(1_700_000_001, usegmt=True), "rubbish"):
        assert ask(served, range="bytes=5-", if_range=condition).status == 200


@hypothesis_settings(max_examples=300)
@given(first=st.none() | st.integers(0, 40), last=st.none() | st.integers(0, 40), size=st.integers(0, 30))
def test_ranges_agree_with_slicing(first: int | None, last: int | None, size: int) -> None:
    data = bytes(range(size))
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}".encode()
    plan = answer({b"range": text}, size, ETAG, 0.0)
    got = data[plan.start : plan.start + plan.length]
    if plan.status == 206:
        expected = data[first : None if last is None else last + 1] if first is not None else data[-(last or 0) :]
        assert got == expected
        assert got
    elif plan.status == 416:
        assert (first if first is not None else size if last == 0 else 0) >= size
    else:
        assert got == data
        assert first is None or (last is not None and last < first) or first < size


@pytest.mark.parametrize(
    "target",
    ["/protected/quarantine/blobs/x", "/protected/models/../quarantine/blobs/x", "/protected/models/../../secret",
     "/protected/models//etc/passwd",
     "/protected/models/./blobs/x", "/protected/models", "/protected/models/", "/protected/models/blobs", "/etc/passwd", "/protected/",
     "/protected/models/blobs/link", "/protected/models/blobs/none", "/protected/models/blobs/pipe", "/protected/../models/blobs/x"],
)  # fmt: skip
def test_nothing_but_plain_files_of_open_stores(served: Any, stores: Path, target: str, caplog: pytest.LogCaptureFixture) -> None:
    (stores / "quarantine" / "blobs").mkdir(parents=True)
    (stores / "quarantine" / "blobs" / "x").write_bytes(b"evil")
    (stores.parent / "secret").write_bytes(b"key")
    (stores / "models" / "blobs" / "link").symlink_to(stores.parent / "secret")
    os.mkfifo(stores / "models" / "blobs" / "pipe")
    with caplog.at_level(logging.ERROR):
        reply = ask(Accel(view(target.encode())))
    assert reply.status == 404
    assert b"error" in reply.body
    assert target in caplog.text


def test_a_store_on_another_disk_behind_a_link_is_served(stores: Path, tmp_path: Path) -> None:
    (tmp_path / "disk" / "blobs").mkdir(parents=True)
    (tmp_path / "disk" / "blobs" / "x").write_bytes(b"far")
    stores.mkdir(exist_ok=True)
    (stores / "models").symlink_to(tmp_path / "disk")
    assert ask(Accel(view(b"/protected/models/blobs/x"))).body == b"far"


def test_other_answers_pass_untouched(stores: Path) -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-accel-buffering", b"no")]})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await send({"type": "http.response.body", "body": b"c"})

    reply = ask(Accel(plain))
    assert (reply.status, reply.headers, reply.body) == (201, {b"x-accel-buffering": b"no"}, b"abc")


def test_a_file_that_shrinks_while_it_is_sent_is_never_finished(stores: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = stores / "models" / "big"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * (4 * READ_BYTES))
    reply, sent = Reply(), []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(len(message["body"]))
            os.truncate(path, READ_BYTES // 2)
            reply.whole = not message.get("more_body")

    async def receive() -> Any:
        await asyncio.sleep(60)

    app = Accel(view(b"/protected/models/big"))
    with caplog.at_level(logging.ERROR):
        asyncio.run(app({"type": "http", "method": "GET", "headers": [], "path": "/"}, receive, send))
    assert not reply.whole
    assert sum(sent) < 4 * READ_BYTES
    assert "early" in caplog.text


def test_a_slow_client_is_waited_for_and_nothing_piles_up(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stores / "models" / "big"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(64 * READ_BYTES)
    reads: list[int] = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda *arguments: reads.append(1) or real(*arguments))
    taken = 0

    async def send(message: Any) -> None:
        nonlocal taken
        if message["type"] == "http.response.body":
            taken += 1
            await asyncio.sleep(0.02)
            assert len(reads) <= taken + 1

    async def receive() -> Any:
        while taken < 5:
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    app = Accel(view(b"/protected/models/big"))
    asyncio.run(app({"type": "http", "method": "GET", "headers": [], "path": "/"}, receive, send))
    assert 5 <= taken <= 7, "reading goes on although the client hung up"


def test_handles_are_closed_whatever_happens(served: Any) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for headers in ({}, {"range": "bytes=99999-"}, {"if_none_match": "*"}):
        ask(served, **headers)
    ask(served, "HEAD")

    async def broken(message: Any) -> None:
        raise ConnectionError

    async def receive() -> Any:
        await asyncio.sleep(60)

    with pytest.raises(ConnectionError):
        asyncio.run(served({"type": "http", "method": "GET", "headers": [], "path": "/"}, receive, broken))
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1  # the listing itself


@pytest.mark.parametrize(
    ("given_path", "path"),
    [
        ("//api/v1/models", "/api/v1/models"), ("/api//v1", "/api//v1"), ("///x", "/x"), ("/api/v1/models/", "/api/v1/models"),
        ("//api/download/models/7//", "/api/download/models/7"), ("/api/models/", "/api/models/"), ("/ada/lanterns/", "/ada/lanterns/"),
    ],
)  # fmt: skip
def test_a_slash_too_many_is_forgiven(given_path: str, path: str) -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["path"], scope["raw_path"]))

    asyncio.run(SingleSlash(inner)({"type": "http", "path": given_path, "raw_path": given_path.encode()}, None, None))  # type: ignore[arg-type]
    assert seen == [(path, path.encode())]
