"""Renders as server-sent events, through the real server: what is told and when, many listeners at once, and those who hang up."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from hub.api.hub.render_events import RenderFeed
from hub.transport import events
from inference.models import Purpose, Render, Shot
from registry.models import Token
from tests.pictures import picture_of, published_weights, rendered, specs
from tests.processes import wait_until
from tests.servers import LiveHub

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.1)


@pytest.fixture
def render(creator: Any) -> Render:
    """Somebody's own pictures in the making: one of three is done."""
    return rendered(published_weights(creator), specs(3, 64), done=1, purpose=Purpose.TXT2IMG)


class Listener(threading.Thread):
    """Reads a stream to its end, as (event, data) pairs."""

    def __init__(self, url: str, token: str = "") -> None:
        super().__init__(daemon=True)
        self.request = urllib.request.Request(url, headers={"Accept": "text/event-stream"})
        if token:
            self.request.add_header("Authorization", f"Bearer {token}")
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.status, self.headers, self.ended = 0, {}, False
        self.start()

    def run(self) -> None:
        with urllib.request.urlopen(self.request, timeout=60) as answer:
            self.status, self.headers = answer.status, {name.lower(): value for name, value in answer.headers.items()}
            name = ""
            for line in answer:
                word, _, rest = line.decode().rstrip("\n").partition(": ")
                if word == "event":
                    name = rest
                elif word == "data":
                    self.heard.append((name, json.loads(rest)))
        self.ended = True

    def names(self) -> list[str]:
        return [name for name, _ in self.heard]


def finish(render: Render, place: int) -> None:
    shot = render.shots.get(place=place)
    Shot.objects.filter(pk=shot.pk).update(picture=picture_of(specs(3, 64)[place], colour=(place * 40, 90, 200)))
    Render.objects.filter(pk=render.pk).update(steps_done=20 * (place + 1))


def test_progress_pictures_and_the_end_are_told_as_they_come(live_hub: LiveHub, render: Render, write_token: str) -> None:
    listener = Listener(f"{live_hub.url}/api/hub/renders/{render.pk}/events", write_token)
    wait_until(lambda: len(listener.heard) == 2, 30)
    assert listener.names() == ["picture", "progress"]
    assert listener.heard[1][1]["pictures_done"] == 1
    finish(render, 1)
    wait_until(lambda: listener.names().count("picture") == 2, 30)
    Shot.objects.filter(render=render, place=2).update(error_code="render:black", error="It came out black.")
    Render.objects.filter(pk=render.pk).update(state="made", steps_done=60)
    listener.join(30)
    assert listener.ended
    assert (listener.status, listener.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert listener.headers["x-accel-buffering"] == "no"
    assert "x-hub-events" not in listener.headers
    assert listener.heard[-1] == ("end", {"state": "made", "error": "", "error_code": ""})
    assert [data["error"] for name, data in listener.heard if name == "unfit"] == ["It came out black."]
    pictures = [data["picture"] for name, data in listener.heard if name == "picture"]
    assert len({picture["sha256"] for picture in pictures}) == 2
    request = urllib.request.Request(pictures[0]["url"], headers={"Authorization": f"Bearer {write_token}"})
    assert pictures[0]["url"].startswith(live_hub.url)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "image/png"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(pictures[0]["url"], timeout=30)


def test_thirty_listen_while_pages_are_answered_and_all_hear_the_end(live_hub: LiveHub, render: Render, creator: Any) -> None:
    token = Token.issue(creator, "events", "read")[1]
    before = threading.active_count()
    listeners = [Listener(f"{live_hub.url}/api/hub/renders/{render.pk}/events", token) for _ in range(30)]
    wait_until(lambda: all(listener.heard for listener in listeners), 60)
    begun = time.monotonic()
    with urllib.request.urlopen(f"{live_hub.url}/about", timeout=30) as answer:
        assert answer.status == 200
    assert time.monotonic() - begun < 15, "listeners hold no worker threads"
    Render.objects.filter(pk=render.pk).update(state="cancelled")
    for listener in listeners:
        listener.join(60)
    assert {listener.names()[-1] for listener in listeners} == {"end"}
    assert threading.active_count() < before + 30


def test_a_listener_who_hangs_up_is_forgotten(live_hub: LiveHub, render: Render, write_token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    look: Callable[[RenderFeed], Any] = RenderFeed.look

    def counted(self: RenderFeed) -> Any:
        looks.append(time.monotonic())
        return look(self)

    monkeypatch.setattr(RenderFeed, "look", counted)
    with socket.create_connection(("127.0.0.1", live_hub.port), timeout=30) as connection:
        head = f"GET /api/hub/renders/{render.pk}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {write_token}\r\n\r\n"
        connection.sendall(head.encode())
        wait_until(lambda: len(looks) >= 3, 30)
    time.sleep(0.5)
    seen = len(looks)
    time.sleep(1.0)
    assert len(looks) <= seen + 1


def test_who_has_heard_the_end_is_told_to_stop_asking(live_hub: LiveHub, render: Render, write_token: str) -> None:
    Render.objects.filter(pk=render.pk).update(state="failed", error="It died.", error_code="work:gave-up")
    url = f"{live_hub.url}/api/hub/renders/{render.pk}/events"
    listener = Listener(url, write_token)
    listener.join(30)
    assert listener.heard[-1][1] == {"state": "failed", "error": "It died.", "error_code": "work:gave-up"}
    again = urllib.request.Request(url, headers={"Authorization": f"Bearer {write_token}", "Last-Event-ID": "end"})
    with urllib.request.urlopen(again, timeout=30) as answer:
        assert answer.status == 204


def test_others_are_refused_in_json(live_hub: LiveHub, render: Render) -> None:
    request = urllib.request.Request(f"{live_hub.url}/api/hub/renders/{render.pk}/events", headers={"Accept": "text/event-stream"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    with refused.value as answer:
        assert answer.status == 404
        assert json.loads(answer.read())["code"] == "not_found"


def test_a_render_that_is_deleted_ends_its_streams(render: Render) -> None:
    feed = RenderFeed(f"{render.pk} http://testserver")
    assert not feed.look().over
    render.delete()
    last = feed.look()
    assert (last.over, last.events[0].data["state"]) == (True, "deleted")
