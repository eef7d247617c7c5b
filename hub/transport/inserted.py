"""Sends an answer with stored bytes in its midst, for views that know everything around a file: an archive with a model in it.

The view answers `X-Hub-Insert: <64 hex digits of the stored bytes> <their size> <offset in the body>` and the body without them. Whether
somebody may have them is the view's decision; this layer has never heard of users, and never reads the sealed store.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

from hub.transport.answers import answer
from registry import storage
from registry.formats.reader import Reader
from registry.models import Blob

HEADER = b"x-hub-insert"
"""Never sent on to a client."""
_ORDER = re.compile(rb"([0-9a-f]{64}) (\d{1,15}) (\d{1,10})")
OURS = frozenset({HEADER, b"content-length", b"transfer-encoding"})
READ_BYTES = 1 << 20
MOST_AROUND = 96 << 20
"""Bytes of the body around them, which lie in memory."""
POOL = ThreadPoolExecutor(8, "insert")
"""Threads are held for one read of `READ_BYTES` each; a slow client holds none."""

GONE = "The bytes of this file cannot be read just now. The admin finds the reason in the log."

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
log = logging.getLogger(__name__)


class Inserted:
    """ASGI layer: an inner answer with the header becomes its body with the stored bytes put in. Others pass untouched."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started: list[Message] = []
        body = bytearray()

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and any(name.lower() == HEADER for name, _ in message.get("headers", [])):
                started.append(message)
            elif started and message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if len(body) > MOST_AROUND:
                    raise ValueError("a view answered more around inserted bytes than fits into memory")
            else:
                await send(message)

        await self.app(scope, receive, watch)
        if started:
            await _serve(scope, receive, send, started[0], body)


async def _serve(scope: MutableMapping[str, Any], receive: Receive, send: Send, start: Message, around: bytearray) -> None:
    """`around` is emptied as soon as its first part is sent: a slow client keeps no more of it than what comes behind."""
    headers = [(name.lower(), value) for name, value in start["headers"]]
    order = _ORDER.fullmatch(dict(headers)[HEADER])
    with ExitStack() as opened:
        source = await asyncio.get_running_loop().run_in_executor(POOL, _open, opened, order) if order else None
        if source is None or order is None:
            log.error("bytes were to be inserted into an answer, but they are not there: %r", dict(headers)[HEADER])
            await answer(send, 503, {"error": GONE}, {b"retry-after": b"60"})
            return
        kept = [pair for pair in headers if pair[0] not in OURS]
        await send({**start, "headers": [*kept, (b"content-length", b"%d" % (len(around) + source.size))]})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        behind = bytes(around[int(order[3]) :])
        await send({"type": "http.response.body", "body": bytes(around[: int(order[3])]), "more_body": True})
        around.clear()
        if await _pump(source, receive, send):
            await send({"type": "http.response.body", "body": behind})


def _open(opened: ExitStack, order: re.Match[bytes]) -> Reader | None:
    """A reader of the stored bytes, closed with `opened`; None where they are not there with the size that the view has reckoned with."""
    blob = Blob(sha256=order[1].decode(), size_bytes=int(order[2]))
    try:
        source = opened.enter_context(storage.reader(blob))
    except Exception:  # whatever the store says: nothing was sent yet, so the client can be told
        log.exception("%s cannot be opened", blob)
        return None
    return source if source.size == blob.size_bytes else None


async def _pump(source: Reader, receive: Receive, send: Send) -> bool:
    """Send all of it, as fast as the client takes it; False where the client hung up or the store failed, which cuts the connection."""
    gone = asyncio.ensure_future(_hung_up(receive))
    loop = asyncio.get_running_loop()
    place = 0
    try:
        while place < source.size and not gone.done():
            block = bytearray(min(READ_BYTES, source.size - place))
            await loop.run_in_executor(POOL, source.read_into, place, memoryview(block))
            await send({"type": "http.response.body", "body": bytes(block), "more_body": True})
            place += len(block)
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
    return place == source.size


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
