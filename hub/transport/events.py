"""Server-sent events for views that answer a private header, so that no worker thread is held while a browser listens.

Who may listen is the view's decision, as with files (`accel.py`). What there is to tell, a feed knows: it looks, quickly and in a
thread, whenever it is asked. This layer has never heard of renders.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from hub.transport.answers import NOT_RENDERED, answer

HEADER = b"x-hub-events"
"""`<feed> <whatever that feed is to know>`. Never sent on to a client."""
LISTENER = b"x-hub-listener"
"""Who listens, where it is known: an opaque word."""
LOOK_SECONDS = 0.7
BEAT_SECONDS = 15.0
"""A comment at least this often: proxies cut connections on which nothing moves, and a client that is gone is noticed."""
STREAM_SECONDS = 300.0
"""Then a stream ends in the middle and the browser asks again: whether it may is asked again, too."""
RETRY_MS = 1500
GRACE_SECONDS = 15.0
"""After the last look: whoever takes what was told no faster than that loses the connection, and its place is given to others."""
MOST_STREAMS = 200
MOST_OF_ONE = 40
"""Of one listener, so that nobody takes all places alone. Those without a name share half of the places."""
POOL = ThreadPoolExecutor(4, "events")
"""Threads are held for one look each."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` becomes JSON. A browser that connects again says the last `id` that it heard."""

    name: str
    data: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """What is new since the last look, and whether anything can still come."""

    events: Sequence[Event] = field(default_factory=tuple)
    over: bool = False


class Feed(Protocol):
    """Remembers what it has told. `look` runs in a thread, never twice at once; what it raises ends the stream."""

    def look(self) -> News: ...


class Events:
    """ASGI layer: an inner answer with `X-Hub-Events` becomes a stream of events. Beyond `most` streams it is a 503.

    So it is beyond `MOST_OF_ONE` of a listener, as `X-Hub-Listener` names them.
    """

    def __init__(self, app: App, feeds: Mapping[str, Callable[[str], Feed]], most: int = MOST_STREAMS) -> None:
        self.app, self.feeds, self.most = app, feeds, most
        self.held: Counter[str] = Counter()

    @property
    def streams(self) -> int:
        return self.held.total()

    def full(self, listener: str) -> bool:
        """Whether this listener gets no further stream now."""
        return self.streams >= self.most or self.held[listener] >= (MOST_OF_ONE if listener else self.most // 2)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        caught: dict[bytes, str] = {}

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                pairs = ((name.lower(), value.decode("latin-1")) for name, value in message.get("headers", []))
                caught.update(pair for pair in pairs if pair[0] in (HEADER, LISTENER))
            if HEADER not in caught:
                await send(message)

        await self.app(scope, receive, watch)
        if HEADER in caught:
            await self._stream(scope, receive, send, caught[HEADER], caught.get(LISTENER, ""))

    async def _stream(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, told: str, listener: str) -> None:
        name, _, rest = told.partition(" ")
        if self.full(listener):
            text = "Too many are listening just now. Ask again in a moment, or ask for the thing itself now and then."
            await answer(send, 503, {"error": text, "code": "events:full"}, {b"retry-after": b"5"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": _headers()})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self.held[listener] += 1
        try:
            await _until_gone(receive, _tell(self.feeds[name](rest), send))
        finally:
            self.held -= Counter([listener])


def _headers() -> list[tuple[bytes, bytes]]:
    """`X-Accel-Buffering` is nginx's: without it events would be kept until a buffer is full."""
    pairs = {b"content-type": b"text/event-stream; charset=utf-8", b"cache-control": b"private, no-store", b"x-accel-buffering": b"no"}
    return list({**pairs, **NOT_RENDERED}.items())


async def _until_gone(receive: Receive, work: Any) -> None:
    """Do `work` to its end, or until the client hangs up or has taken nothing for too long."""
    telling = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({telling, gone}, timeout=STREAM_SECONDS + GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()
    finally:
        for task in (telling, gone):
            task.cancel()
        await asyncio.gather(telling, gone, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _tell(feed: Feed, send: Send) -> None:
    """Look and tell until there is nothing more, or the stream has lasted long enough. The body is ended in every case."""
    begun = said = time.monotonic()
    await _say(send, f"retry: {RETRY_MS}\n\n".encode())
    try:
        while time.monotonic() - begun < STREAM_SECONDS:
            news = await asyncio.get_running_loop().run_in_executor(POOL, feed.look)
            if news.events:
                await _say(send, b"".join(_written(event) for event in news.events))
                said = time.monotonic()
            elif time.monotonic() - said >= BEAT_SECONDS:
                await _say(send, b": nothing new\n\n")
                said = time.monotonic()
            if news.over:
                break
            await asyncio.sleep(LOOK_SECONDS)
    except Exception:
        log.exception("a stream of events was ended; the browser asks again")
    await send({"type": "http.response.body", "body": b""})


async def _say(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


def _written(event: Event) -> bytes:
    """As the HTML standard writes it. JSON holds no line end outside of `\\n`, so one `data:` line is enough."""
    head = f"event: {event.name}\n" + (f"id: {event.id}\n" if event.id else "")
    return f"{head}data: {json.dumps(event.data, ensure_ascii=False)}\n\n".encode()
