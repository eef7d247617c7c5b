"""The layer that puts stored bytes into an answer: which bytes, under which headers, and what it refuses; without Django's views."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from dataclasses import dataclass, field
from typing import Any

import pytest

from hub.transport.inserted import READ_BYTES, Inserted
from registry import storage
from registry.models import Blob
from tests.hub.published import store_bytes

pytestmark = pytest.mark.django_db
DATA = os.urandom(READ_BYTES * 2 + 77)


@dataclass
class Reply:
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    blocks: int = 0
    whole: bool = False


def ask(order: str, method: str = "GET", *, hang_up_after: int = 10**9) -> Reply:
    """What a client gets of a view that answers "headtail" in two messages, with `order` in its header where there is one."""
    reply, gone = Reply(), asyncio.Event()

    async def view(scope: Any, receive: Any, send: Any) -> None:
        headers = [
            (b"Content-Type", b"application/zip"),
            (b"Content-Length", b"8"),
            *([(b"X-Hub-Insert", order.encode())] if order else []),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"head", "more_body": True})
        await send({"type": "http.response.body", "body": b"tail"})

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            reply.status, reply.headers = message["status"], {name.lower(): value for name, value in message["headers"]}
            return
        reply.body += message["body"]
        reply.blocks += 1
        reply.whole = not message.get("more_body")
        if reply.blocks >= hang_up_after:
            gone.set()
            await asyncio.sleep(0)

    asyncio.run(Inserted(view)({"type": "http", "method": method, "headers": [], "path": "/"}, receive, send))
    return reply


def order_of(blob: Blob, offset: int = 4) -> str:
    return f"{blob.sha256} {blob.size_bytes} {offset}"


def test_the_bytes_stand_where_the_view_wants_them_and_the_length_is_known() -> None:
    reply = ask(order_of(store_bytes(DATA)))
    assert (reply.status, reply.whole) == (200, True)
    assert reply.body == b"head" + DATA + b"tail"
    assert reply.headers[b"content-length"] == str(len(DATA) + 8).encode()
    assert reply.headers[b"content-type"] == b"application/zip"
    assert b"x-hub-insert" not in reply.headers


def test_no_more_than_a_block_is_read_at_a_time() -> None:
    assert ask(order_of(store_bytes(DATA))).blocks == 5


def test_head_has_the_headers_and_no_bytes() -> None:
    reply = ask(order_of(store_bytes(DATA)), "HEAD")
    assert (reply.body, reply.headers[b"content-length"], reply.whole) == (b"", str(len(DATA) + 8).encode(), True)


def test_other_answers_pass_as_they_are() -> None:
    reply = ask("")
    assert (reply.body, reply.headers[b"content-length"], reply.blocks) == (b"headtail", b"8", 2)


@pytest.mark.parametrize("what", ["sealed", "missing", "shorter", "a path"])
def test_bytes_that_may_not_be_sent_or_are_not_there_are_a_503(what: str, caplog: Any) -> None:
    caplog.set_level(logging.CRITICAL)
    blob = store_bytes(DATA)
    order = order_of(blob)
    if what == "sealed":
        storage.seal(blob)
    elif what == "missing":
        storage.remove(blob)
    elif what == "shorter":
        storage.path_of("models", storage.blob_name(blob.sha256)).write_bytes(DATA[:-1])
    else:
        order = f"../../../etc/passwd {blob.size_bytes} 4"
    reply = ask(order)
    assert reply.status == 503
    assert reply.headers[b"retry-after"] == b"60"
    assert b"x-hub-insert" not in reply.headers
    assert b"head" not in reply.body.replace(b"cannot be read", b"")


def test_nothing_is_read_for_a_client_that_is_gone() -> None:
    reply = ask(order_of(store_bytes(DATA)), hang_up_after=2)
    assert not reply.whole
    assert len(reply.body) < len(DATA)


def test_stored_objects_of_s3_are_sent_the_same_way(s3_stores: None, tmp_path: Any) -> None:
    path = tmp_path / "weights"
    path.write_bytes(DATA)
    sha256 = hashlib.sha256(DATA).hexdigest()
    storage.place_file(path, sha256)
    assert ask(order_of(Blob(sha256=sha256, size_bytes=len(DATA)))).body == b"head" + DATA + b"tail"
