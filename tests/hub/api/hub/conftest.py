"""Callers of the API: a creator with a token, a stranger, nobody, a moderator."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from rest_framework.test import APIClient

from registry.models import Token


def client_of(user: Any, scope: str = "write") -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {Token.issue(user, 'tests', scope)[1]}")
    return client


@pytest.fixture(scope="session")
def described() -> dict[str, Any]:
    """The API's own description, which drf-spectacular makes without a warning."""
    out = StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", stdout=out)
    return dict(yaml.safe_load(out.getvalue()))


@pytest.fixture
def api(creator: Any) -> APIClient:
    return client_of(creator)


@pytest.fixture
def reader(creator: Any) -> APIClient:
    """The creator, with a token that may only read."""
    return client_of(creator, "read")


@pytest.fixture
def other(stranger: Any) -> APIClient:
    return client_of(stranger)


@pytest.fixture
def judge(moderator: Any) -> APIClient:
    return client_of(moderator)


@pytest.fixture
def anonymous(db: None) -> APIClient:
    return APIClient()


@pytest.fixture
def entry(api: APIClient) -> dict[str, Any]:
    return api.post("/api/hub/entries", {"name": "Paper Lanterns", "kind": "checkpoint"}).json()


@pytest.fixture
def version(api: APIClient, entry: dict[str, Any]) -> dict[str, Any]:
    return api.post(f"/api/hub/entries/{entry['id']}/versions", {"name": "v1", "base_model": "SD 1.5"}).json()
