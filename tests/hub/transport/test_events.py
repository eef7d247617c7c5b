"""The layer that sends events: what is written, when a stream ends, and how many there may be; on its own, with feeds of the test."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from hub.transport import events
from hub.transport.events import Event, Events, News


@dataclass
class Count:
    """A feed that counts up to a number, one event a look."""

    upto: str
    seen: int = 0
    looks: list[float] = field(default_factory=list)

    def look(self) -> News:
        self.seen += 1
        self.looks.append(time.monotonic())
        return News([Event("count", {"n": self.seen, "text": "ä\n"})], over=self.seen >= int(self.upto))


@dataclass
class Silent:
    rest: str

    def look(self) -> News:
        return News()


@dataclass
class Broken:
    rest: str

    def look(self) -> News:
        raise RuntimeError("the database is away")


def view(told: bytes | None, status: int = 200) -> Any:
    """An inner application. It takes the path for the name of who listens."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), *([(b"X-Hub-Events", told)] if told else [])]
        headers += [(b"X-Hub-Listener", scope["path"].encode())] if scope["path"] else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


@dataclass
class Reply:
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False


async def ask(app: Any, method: str = "GET", until: Callable[[Reply], bool] = lambda _: False, path: str = "") -> Reply:
    """One request; the client hangs up as soon as `until` is true of what it has got."""
    reply, gone = Reply(), asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            reply.status, reply.headers = message["status"], dict(message["headers"])
        else:
            reply.body += message["body"]
            reply.ended = not message.get("more_body")
        if until(reply):
            gone.set()

    await app({"type": "http", "method": method, "headers": [], "path": path}, receive, send)
    return reply


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.01)


def layer(told: bytes | None = b"count 3", **more: Any) -> Events:
    return Events(view(told), {"count": Count, "silent": Silent, "broken": Broken}, **more)


def test_everything_is_told_and_then_the_stream_ends() -> None:
    reply = asyncio.run(ask(layer()))
    assert reply.status == 200
    assert reply.ended
    assert reply.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert reply.headers[b"cache-control"] == b"private, no-store"
    assert reply.headers[b"x-accel-buffering"] == b"no"
    assert events.HEADER not in {name.lower() for name in reply.headers}
    first, *told = reply.body.decode().split("\n\n")
    assert first == "retry: 1500"
    assert told == [*(f'event: count\ndata: {{"n": {n}, "text": "ä\\n"}}' for n in (1, 2, 3)), ""]


def test_answers_without_the_header_are_left_alone() -> None:
    reply = asyncio.run(ask(layer(None)))
    assert (reply.status, reply.body) == (200, b"{}")


def test_a_head_request_gets_the_headers_alone() -> None:
    reply = asyncio.run(ask(layer(), "HEAD"))
    assert (reply.status, reply.body, reply.ended) == (200, b"", True)


def test_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BEAT_SECONDS", 0.05)
    reply = asyncio.run(ask(layer(b"silent x"), until=lambda reply: reply.body.count(b": nothing new") == 3))
    assert reply.body.count(b": nothing new") == 3


def test_a_stream_ends_after_a_while_and_says_when_to_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_SECONDS", 0.2)
    reply = asyncio.run(ask(layer(b"silent x")))
    assert reply.ended
    assert b"retry: 1500" in reply.body


def test_trouble_ends_the_stream_and_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        reply = asyncio.run(ask(layer(b"broken x")))
    assert reply.ended
    assert "the database is away" in caplog.text


def test_who_hangs_up_is_looked_for_no_longer() -> None:
    app = layer(b"silent x")
    reply = asyncio.run(ask(app, until=lambda reply: b"retry" in reply.body))
    assert not reply.ended
    assert app.streams == 0


def test_beyond_the_limit_it_is_a_503_and_the_place_is_given_back() -> None:
    app = layer(b"silent x", most=2)

    async def crowd() -> list[Reply]:
        enough = asyncio.Event()
        held = [asyncio.create_task(ask(app, path="ann", until=lambda _: enough.is_set())) for _ in range(2)]
        while app.streams < 2:
            await asyncio.sleep(0.01)
        refused = await ask(app, path="bob")
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        return [refused, await ask(app, until=lambda reply: b"retry" in reply.body)]

    refused, later = asyncio.run(crowd())
    assert refused.status == 503
    assert refused.headers[b"retry-after"] == b"5"
    assert b'"code": "events:full"' in refused.body
    assert later.status == 200


def test_nobody_takes_all_the_places_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_OF_ONE", 2)
    app = layer(b"silent x", most=6)

    async def crowd() -> dict[str, int]:
        held = [asyncio.create_task(ask(app, path=path)) for path in ("ann", "ann", "", "", "")]
        while app.streams < 5:
            await asyncio.sleep(0.01)
        answers = {path: (await ask(app, path=path, until=lambda reply: b"retry" in reply.body)).status for path in ("ann", "", "bob")}
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        return answers

    assert asyncio.run(crowd()) == {"ann": 503, "": 503, "bob": 200}
    assert app.streams == 0


def test_who_takes_nothing_loses_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_SECONDS", 0.05)
    monkeypatch.setattr(events, "GRACE_SECONDS", 0.05)
    app = layer(b"count 3")

    async def never(_: Any = None) -> Any:
        await asyncio.Event().wait()

    async def deaf() -> None:
        taken: list[str] = []

        async def send(message: Any) -> None:
            taken.append(message["type"])
            if len(taken) > 1:
                await never()

        await asyncio.wait_for(app({"type": "http", "method": "GET", "headers": [], "path": ""}, never, send), 5)

    asyncio.run(deaf())
    assert app.streams == 0


def test_a_slow_look_of_one_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Slow(Silent):
        def look(self) -> News:
            released.wait(5)
            return News(over=True)

    app = Events(view(b"slow x"), {"slow": Slow})
    quick = layer()
    monkeypatch.setattr(events, "POOL", ThreadPoolExecutor(2))

    async def both() -> float:
        slow = asyncio.create_task(ask(app))
        begun = time.monotonic()
        await asyncio.sleep(0.02)
        reply = await ask(quick)
        took = time.monotonic() - begun
        assert reply.ended
        released.set()
        await slow
        return took

    assert asyncio.run(both()) < 2
