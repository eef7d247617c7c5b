"""Questions as they come over the wire: bodies in pieces or too long, HEAD, and a slash too many."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from registry.models import File, User
from tests.hub.published import published_file
from tests.servers import LiveHub

BODIES, IDS = "/api/v1/model-versions/by-hash", "/api/v1/model-versions/by-hash/ids"


@pytest.fixture
def file(live_hub: LiveHub, creator: User) -> File:
    return published_file(creator, b"weights")


@pytest.fixture
def wire(live_hub: LiveHub) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", live_hub.port, timeout=20)
    yield connection
    connection.close()


def asked(wire: http.client.HTTPConnection, method: str, address: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    wire.request(method, address, body, headers)
    response = wire.getresponse()
    return response.status, response.read()


def test_questions_over_the_wire(wire: http.client.HTTPConnection, file: File) -> None:
    question = json.dumps([file.sha256]).encode()
    expected = [{"modelVersionId": file.version_id, "modelId": file.version.entry_id, "hash": file.sha256.upper()}]
    for address in (IDS, f"/{IDS}", f"{IDS}/"):
        status, body = asked(wire, "POST", address, question)
        assert (status, json.loads(body)) == (200, expected)
    status, body = asked(wire, "POST", IDS, iter([question[:20], question[20:]]))  # chunked
    assert (status, json.loads(body)) == (200, expected)
    status, _ = asked(wire, "POST", BODIES, iter([b" " * 8000, b" " * 8000]))
    assert status == 413
    for address in ("/api/v1/images", f"{BODIES}/{file.sha256}", "//api/v1/enums", f"/api/v1/model-versions/mini/{file.version_id}"):
        assert asked(wire, "HEAD", address) == (200, b"")
        assert asked(wire, "GET", address)[1].startswith(b"{")


def test_a_body_without_end_is_refused_before_it_has_come(wire: http.client.HTTPConnection, live_hub: LiveHub) -> None:
    wire.putrequest("POST", BODIES)
    wire.putheader("Content-Length", str(1 << 40))
    wire.endheaders(b"[")
    response = wire.getresponse()
    assert (response.status, list(json.loads(response.read()))) == (413, ["error"])
