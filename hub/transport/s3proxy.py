"""Passes presigned S3 requests for our buckets through to the S3 server, on the site's own port, streaming both ways.

The Host header is kept, because the signature covers it; the S3 server alone judges the signature. Credentials meant for
the hub (cookies, bearer tokens) stay here, and no answer may be rendered by a browser. Two things that S3 servers do not do
are done here: HEAD of an address that was signed for GET, and `If-Range`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import yarl
from django.conf import settings

from hub.transport.answers import NOT_RENDERED, answer
from hub.transport.ranges import still_the_same

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
HOP_BY_HOP = set(b"connection keep-alive proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split())
"""RFC 9110, section 7.6.1."""
NOT_FOR_S3 = HOP_BY_HOP | {b"cookie", b"authorization", b"expect"}
NOT_FROM_S3 = HOP_BY_HOP | set(NOT_RENDERED) | {b"set-cookie", b"server", b"access-control-allow-origin"}
CHUNK = 256 * 2**10
AWAY_SECONDS = 10
"""After which a program may ask again when the S3 server did not answer."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The connection ended: nobody is left to answer."""


class S3Proxy:
    """ASGI layer; what is not a presigned request for one of our buckets goes on to `app`."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if not is_ours(scope):
            await self.app(scope, receive, send)
            return
        started = _Started(send)
        try:
            await self._pass(scope, receive, started)
        except ClientGone:
            return
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the S3 server did not answer: %r", error)
            if started.yes:
                raise ConnectionError("the S3 server stopped in the middle of an answer") from error  # the server cuts the connection
            text = "The hub's file store does not answer. Try again in a moment."
            await answer(send, 502, {"error": text, "code": "storage:away"}, {b"retry-after": b"%d" % AWAY_SECONDS})

    async def _pass(self, scope: Message, receive: Receive, send: _Started) -> None:
        headers = [(name.decode("latin1"), value.decode("latin1")) for name, value in scope["headers"] if name not in NOT_FOR_S3]
        body = _body(receive) if scope["method"] in {"PUT", "POST"} else None
        async with _session() as s3, await _asked(s3, scope, headers, body) as found:
            kept = [(name.lower(), value) for name, value in found.raw_headers if name.lower() not in NOT_FROM_S3]
            if scope["method"] in {"GET", "HEAD"}:
                kept.append((b"access-control-allow-origin", b"*"))  # as for files on disk: whoever has the address may read
            await send({"type": "http.response.start", "status": found.status, "headers": [*kept, *NOT_RENDERED.items()]})
            if scope["method"] != "HEAD":
                await _relay(found, receive, send)
            await send({"type": "http.response.body", "body": b""})


async def _asked(
    s3: aiohttp.ClientSession, scope: Message, headers: list[tuple[str, str]], body: AsyncIterator[bytes] | None
) -> aiohttp.ClientResponse:
    """The S3 server's answer, its body unread. Asks a second time where the first question was not one for S3."""
    url, method = _upstream(scope), scope["method"]
    found = await s3.request(method, url, headers=headers, data=body, allow_redirects=False)
    if method == "HEAD" and found.status == 403:  # signed for GET, most likely: clients ask before they fetch
        found.close()
        found = await s3.request("GET", url, headers=headers, allow_redirects=False)
    elif method == "GET" and found.status == 206 and not _condition_holds(dict(scope["headers"]).get(b"if-range"), found):
        found.close()
        whole = [pair for pair in headers if pair[0].lower() not in {"range", "if-range"}]
        found = await s3.request("GET", url, headers=whole, allow_redirects=False)
    return found


def _condition_holds(condition: bytes | None, found: aiohttp.ClientResponse) -> bool:
    """Whether If-Range lets this part be sent: SeaweedFS and others send it whatever the condition says."""
    with contextlib.suppress(ValueError):
        modified = parsedate_to_datetime(found.headers.get("Last-Modified", "")).timestamp()
        return still_the_same(condition, found.headers.get("ETag", "").encode(), modified)
    return condition is None


def _session() -> aiohttp.ClientSession:
    """A session for one request, without limits of its own: S3 sets the pace.

    Connections are not kept: a streamed body cannot be sent again when S3 has just closed an idle one.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=120)
    return aiohttp.ClientSession(auto_decompress=False, timeout=timeout, connector=aiohttp.TCPConnector(limit=0, force_close=True))


class _Started:
    """`send`, remembering whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self.send, self.yes = send, False

    async def __call__(self, message: Message) -> None:
        self.yes = True
        await self.send(message)


def is_ours(scope: Message) -> bool:
    """Whether this is a presigned request for one of the three buckets, and the store is S3."""
    if scope["type"] != "http" or settings.STORAGE_KIND != "s3" or scope["method"] not in METHODS:
        return False
    bucket = scope["path"].lstrip("/").partition("/")[0]
    return bucket in settings.S3_BUCKETS.values() and b"X-Amz-Signature=" in scope["query_string"]


def _upstream(scope: Message) -> yarl.URL:
    """The same path and query, byte for byte, on the S3 server."""
    path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    return yarl.URL(settings.S3["endpoint_url"].rstrip("/") + f"{path.decode('latin1')}?{query.decode('latin1')}", encoded=True)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """The request's body, block by block as it arrives."""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        if message.get("body"):
            yield message["body"]
        more = message.get("more_body", False)


async def _relay(found: aiohttp.ClientResponse, receive: Receive, send: Send) -> None:
    """Send the answer's body on; stop reading from S3 when the client has gone."""
    gone = asyncio.create_task(_until_gone(receive))
    try:
        async for chunk in found.content.iter_chunked(CHUNK):
            if gone.done():
                raise ClientGone
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
