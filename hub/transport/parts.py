"""Takes the parts of uploads in on local disk: `PUT /upload-parts/<signed token>` is streamed to its place in the staged file.

Neither a database nor a worker thread of Django is involved: the token says all, `registry.partfile` keeps order between
writers. Bytes wait for the disk, so a connection never holds more than about 1 MiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import storages
from django.core.signing import BadSignature, SignatureExpired

from hub.transport.answers import answer
from registry import staging
from registry.partfile import PartFile, PartRefused

PREFIX = "/upload-parts/"
BLOCK = 512 * 2**10
"""Bytes handed to the disk at once; one such block is gathered while the one before it is written."""
THREADS = 4
"""Writers beside the event loop: a disk gains nothing from more."""

MOST_DROPPED = 64 * 2**20
"""Bytes of a refused body that are read to their end: a whole part of any usual size."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The connection ended inside the body: nobody is left to answer."""


class Body:
    """The request's body as it arrives; `more` says whether there is any left."""

    def __init__(self, receive: Receive) -> None:
        self.receive, self.more = receive, True

    async def next(self) -> bytes:
        """The next bytes, perhaps none. Raises `ClientGone`."""
        message = await self.receive()
        if message["type"] != "http.request":
            raise ClientGone
        self.more = message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def drop(self, limit: int) -> None:
        """Read and forget what is left, up to `limit` bytes: many clients see no answer while they still send."""
        while self.more and limit > 0:
            limit -= len(await self.next())


class Parts:
    """ASGI layer; what is not a part of a local upload goes on to `app`."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="parts")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX) or settings.STORAGE_KIND != "local":
            await self.app(scope, receive, send)
            return
        body = Body(receive)
        with contextlib.suppress(ClientGone):
            try:
                etag = await self._take(scope, body)
            except PartRefused as refused:
                await _refuse(scope, body, send, refused)
            except OSError as error:
                await _refuse(scope, body, send, trouble(error))
            else:
                await answer(send, 200, {"etag": etag}, {b"etag": f'"{etag}"'.encode()})

    async def _take(self, scope: Message, body: Body) -> str:
        """Stream the body to its place; returns its MD5 as hex. Raises `PartRefused`, `ClientGone`, OSError."""
        if scope["method"] != "PUT":
            raise PartRefused(405, "method", "Send a part with PUT.")
        claim = read_claim(scope["path"].removeprefix(PREFIX))
        check_length(scope["headers"], claim["p"], claim["s"])
        part = await self._run(PartFile, folder_of(claim["n"]), claim["p"], claim["o"], claim["s"])
        try:
            await self._stream(part, body)
            return str(await self._run(part.finish))
        finally:
            await asyncio.shield(self._run(part.close))

    async def _stream(self, part: PartFile, body: Body) -> None:
        block, writing = bytearray(), None
        try:
            while body.more:
                block += await body.next()
                if len(block) >= BLOCK or not body.more:
                    if writing:
                        await writing
                    writing, block = self._run(part.write, block), bytearray()
            if writing:
                await writing
        finally:
            if writing and not writing.done():
                await asyncio.wait([writing])

    def _run(self, job: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self.threads, partial(job, *arguments))


async def _refuse(scope: Message, body: Body, send: Send, refused: PartRefused) -> None:
    if not any(name == b"expect" for name, _ in scope["headers"]):
        await body.drop(MOST_DROPPED)
    await answer(send, refused.status, {"error": refused.sentence, "code": refused.code})


def trouble(error: OSError) -> PartRefused:
    """What to say of a disk that does not do its part."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        text = "The hub's disk is full. What arrived before is kept: tell the admin, then send this part again."
        return PartRefused(507, "upload:disk-full", text)
    log.error("a part could not be written", exc_info=error)
    return PartRefused(503, "upload:trouble", "The hub could not write this part (trouble of ours). Send it again in a moment.")


def read_claim(token: str) -> dict[str, Any]:
    """What the token allows. Raises `PartRefused` 403 for one that was changed or has expired."""
    try:
        return staging.read_claim(token)
    except SignatureExpired:
        raise PartRefused(403, "part:expired", "This part address has expired. Ask the upload for a new one.") from None
    except BadSignature:
        raise PartRefused(403, "part:forged", "This part address is not one of ours. Ask the upload for a new one.") from None


def check_length(headers: list[tuple[bytes, bytes]], number: int, size: int) -> None:
    """Refuse a wrong Content-Length before a byte is written; a body without one is counted while it arrives."""
    for name, value in headers:
        if name == b"content-length" and int(value) != size:
            status, code = (413, "part:too-large") if int(value) > size else (400, "part:too-short")
            raise PartRefused(status, code, f"Part {number} has exactly {size:,} bytes, but {int(value):,} were announced.")


def folder_of(staging_name: str) -> Path:
    """The upload's folder, not made when it is gone."""
    return Path(storages["models"].path(staging_name))
