"""Who is calling: tokens that are unknown, expired, revoked or may only read, and sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from registry.models import Entry, Token

BODY = {"name": "Lanterns", "kind": "lora"}


def bearer(secret: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def test_nobody_is_asked_to_sign_in(anonymous: APIClient) -> None:
    answer = anonymous.post("/api/hub/entries", BODY)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer" in answer.json()["error"]


def expire(token: Token) -> None:
    Token.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def revoke(token: Token) -> None:
    Token.objects.filter(pk=token.pk).update(revoked_at=timezone.now())


def lock_out(token: Token) -> None:
    token.owner.is_active = False
    token.owner.save()


@pytest.mark.parametrize("end", [expire, revoke, lock_out])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_token_that_ended_is_401_at_once(creator: Any, end: Any, method: str) -> None:
    token, secret = Token.issue(creator, "tests", "write")
    client = bearer(secret)
    assert client.post("/api/hub/entries", BODY).status_code == 201
    end(token)
    answer = client.post("/api/hub/entries", BODY) if method == "post" else client.get(f"/api/hub/entries/{Entry.objects.get().pk}")
    assert answer.status_code == 401
    assert answer.json()["code"] == "token"
    assert "expired or revoked" in answer.json()["error"]
    assert Entry.objects.count() == 1


@pytest.mark.parametrize("secret", ["wh_nonsense", "x" * 5000, "wh_\x00", "Bearer", "é"])
def test_an_unknown_token_is_401(db: None, secret: str) -> None:
    assert bearer(secret).post("/api/hub/entries", BODY).status_code == 401


def test_a_read_token_reads_and_writes_nothing(reader: APIClient, entry: dict[str, Any]) -> None:
    assert reader.get(f"/api/hub/entries/{entry['id']}").status_code == 200
    answer = reader.patch(f"/api/hub/entries/{entry['id']}", {"name": "Changed"})
    assert answer.status_code == 403
    assert "may only read" in answer.json()["error"]
    assert Entry.objects.get().name == "Paper Lanterns"


def test_a_session_needs_its_csrf_token(creator: Any) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(creator)
    refused = client.post("/api/hub/entries", BODY)
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["error"]
    assert client.get("/api/hub/docs/").status_code == 200  # sets the cookie
    token = client.cookies["csrftoken"].value
    assert client.post("/api/hub/entries", BODY, HTTP_X_CSRFTOKEN=token).status_code == 201


def test_an_unknown_address_is_json_too(anonymous: APIClient) -> None:
    for method in ("get", "post", "delete"):
        answer = getattr(anonymous, method)("/api/hub/everything")
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
