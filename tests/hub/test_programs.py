"""The short way for programs: answers without a session are those with one, as far as programs can tell."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from registry.models import User

ADDRESS = "/api/v1/models"


@pytest.mark.django_db
def test_it_answers_what_the_long_way_answers(client: Client, creator: User) -> None:
    short = client.get(ADDRESS)
    client.cookies["sessionid"] = "of-nobody"
    long = client.get(ADDRESS)
    assert short.json() == long.json()
    for name in (
        "Content-Length",
        "Content-Type",
        "X-Content-Type-Options",
        "X-Frame-Options",
        "Access-Control-Allow-Origin",
        "Cache-Control",
    ):
        assert short[name] == long[name]
    assert "default-src 'none'" in short["Content-Security-Policy"]
    assert len(short["X-Request-Id"]) == 16
    assert "sessionid" not in short.cookies


@pytest.mark.django_db
def test_a_session_still_says_who_asks(client: Client, creator: User) -> None:
    assert client.get("/api/v1/me").status_code == 401
    client.force_login(creator)
    assert client.get("/api/v1/me").json()["username"] == "ada"


@pytest.mark.django_db
def test_nothing_there_is_said_to_programs(client: Client) -> None:
    response: Any = client.get("/api/v1/nothing/here")
    assert (response.status_code, response.json()) == (404, {"error": "Not found"})
