"""Every answer has a request id, private ones are never cached, and no log line shows a secret."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hub.requests import TokenFilter
from registry.models import Token


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v1/me?token=wh_abcdefghijklmnop HTTP/1.1",
        "header Authorization: Bearer wh_abcdefghijklmnop",
        "PUT /upload-parts/eyJuIjoic3RhZ2luZy8x:abc:def",
        "POST /_lfs/complete?upload=eyJuIjoic3RhZ2luZy8x:abc:def HTTP/1.1",
        "secret wh_abcdefghijklmnop was refused",
    ],
)
def test_secrets_are_blanked_in_log_lines(text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s", (text,), None)
    assert TokenFilter().filter(record)
    line = record.getMessage()
    assert "abcdefghijklmnop" not in line
    assert "eyJuIjoi" not in line
    assert "***" in line


@pytest.mark.django_db
def test_private_answers_are_not_cached_and_carry_an_id(client: Any, creator: Any) -> None:
    _, secret = Token.issue(creator, "t")
    answer = client.get("/api/hub/entries/1", headers={"authorization": f"Bearer {secret}"})
    assert "no-store" in answer["Cache-Control"]
    assert len(answer["X-Request-Id"]) == 16
