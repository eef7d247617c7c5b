"""Sends local files for views that answer `X-Accel-Redirect`, so that no worker thread is held while a client reads.

The header is nginx's: behind `location /protected/ { internal; alias DATA/storage/; }` nginx does the same. Whether somebody
may have a file is the view's decision; this layer has never heard of users.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.conf import settings

from hub.transport.ranges import answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

PREFIX = b"/protected/"
OPEN_STORES = ("models", "media")
"""Stores that may be served from. The sealed one is not among them, whatever a view says."""
OURS = frozenset({b"x-accel-redirect", b"content-length", b"etag", b"last-modified", b"accept-ranges"})
READ_BYTES = 1 << 20
POOL = ThreadPoolExecutor(8, "accel")
"""Threads are held for one read of `READ_BYTES` each; a slow client holds none."""

log = logging.getLogger(__name__)


class Accel:
    """ASGI layer: an inner answer with `X-Accel-Redirect: /protected/<store>/<name>` becomes the bytes of that file.

    Status, length and range headers are ours; every other header of the view is kept. The view should give a strong ETag.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        caught: list[tuple[bytes, list[tuple[bytes, bytes]]]] = []

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.lower(), value) for name, value in message.get("headers", [])]
                targets = [value for name, value in headers if name == b"x-accel-redirect"]
                if targets:
                    caught.append((targets[0], headers))
            if not caught:
                await send(message)

        await self.app(scope, receive, watch)
        if caught:
            await _serve(scope, receive, send, *caught[0])


class _Source:
    """Bytes [start, start + length) of an open file, read one block ahead of what is asked for."""

    def __init__(self, handle: int, start: int, length: int) -> None:
        self.handle, self.position, self.left = handle, start, length
        self._job: Future[bytes] | None = None
        self._ahead()

    def _ahead(self) -> None:
        size = min(READ_BYTES, self.left)
        self._job = POOL.submit(os.pread, self.handle, size, self.position) if size else None

    async def block(self) -> bytes:
        """The next bytes; empty at the end, and where the file is shorter than it was."""
        if self._job is None:
            return b""
        data = await asyncio.wrap_future(self._job)
        self.position += len(data)
        self.left -= len(data)
        self._job = None
        if data:
            self._ahead()
        return data

    def close(self) -> None:
        """Close the file, but not under a read that is still going on: the number would be another file by then."""
        if self._job is None:
            os.close(self.handle)
        else:
            self._job.add_done_callback(lambda _: os.close(self.handle))


async def _serve(scope: MutableMapping[str, Any], receive: Receive, send: Send, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    opened = await asyncio.get_running_loop().run_in_executor(POOL, _open, target)
    if opened is None:
        log.error("%s was to be sent, but it is not there", target.decode("latin-1"))
        await _missing(send)
        return
    handle, size, modified = opened
    source = _Source(handle, 0, 0)
    try:
        etag = dict(headers).get(b"etag") or b'"%x-%x"' % (size, int(modified))
        plan = answer(dict(scope["headers"]), size, etag, modified)
        kept = [pair for pair in headers if pair[0] not in OURS]
        await send({"type": "http.response.start", "status": plan.status, "headers": [*kept, *plan.headers]})
        if scope["method"] == "HEAD" or not plan.length:
            await send({"type": "http.response.body", "body": b""})
            return
        source = _Source(handle, plan.start, plan.length)
        await _pump(source, receive, send)
    finally:
        source.close()


async def _pump(source: _Source, receive: Receive, send: Send) -> None:
    """Send block after block, as fast as the client takes them, until the end or until it hangs up."""
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        while source.left and not gone.done():
            data = await source.block()
            if not data:
                log.error("a file ended %d bytes early while it was being sent; the connection is cut", source.left)
                return
            await send({"type": "http.response.body", "body": data, "more_body": source.left > 0})
    finally:
        gone.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _open(target: bytes) -> tuple[int, int, float] | None:
    """(handle, size in bytes, time of change) of a plain file inside an open store; None for everything else."""
    if not target.startswith(PREFIX) or b"\0" in target:
        return None
    store, *parts = os.fsdecode(target[len(PREFIX) :]).split("/")
    if store not in OPEN_STORES or not parts or any(part in {"", ".", ".."} for part in parts):
        return None
    root = (Path(settings.STORAGE_ROOT) / store).resolve()
    path = root.joinpath(*parts).resolve()
    if not path.is_relative_to(root):
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        return None
    return handle, found.st_size, found.st_mtime


async def _missing(send: Send) -> None:
    body = b'{"error":"The bytes of this file cannot be read just now. The admin finds the reason in the log."}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
