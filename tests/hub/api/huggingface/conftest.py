"""Callers of the Hugging Face Hub protocol, a repository to read, and the unmodified client against a live hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from safetensors.numpy import save

from registry.models import Entry, File, Token, User, Version
from tests.hub.api.huggingface import pushes
from tests.hub.api.huggingface.pushes import REPO as REPO
from tests.hub.published import published_entry, published_file, published_version

Call = Callable[..., Any]


def weights(value: float = 1.0) -> bytes:
    """A tiny safetensors file."""
    return save({"lantern.weight": np.full((4, 4), value, np.float16)}, {"format": "pt"})


def caller(user: User | None, scope: str = "read") -> Call:
    """`call(path, **query)` as this person, by token; nobody for None. `method=` for other methods than GET."""
    headers = {"Authorization": f"Bearer {Token.issue(user, 'laptop', scope)[1]}"} if user else {}

    client = Client(headers=headers)

    def call(path: str, query: Any = None, method: str = "get", **more: Any) -> Any:
        return getattr(client, method)(path, query or {}, **more)

    return call


@pytest.fixture
def call(db: None) -> Call:
    return caller(None)


@pytest.fixture
def people(creator: User, stranger: User, moderator: User) -> dict[str, Call]:
    return {"anonymous": caller(None), "other": caller(stranger), "owner": caller(creator), "moderator": caller(moderator)}


@pytest.fixture
def version(creator: User) -> Version:
    """The published version v1 of ada/lantern, without files."""
    return published_version(published_entry(creator, name="Lantern", slug="lantern"))


@pytest.fixture
def file(creator: User, version: Version) -> File:
    """lantern.safetensors in it."""
    return published_file(creator, weights(), version=version)


@pytest.fixture
def hub(live_hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`hub(token)` is an HfApi of the live hub, which keeps what it caches in the test's folder."""
    from huggingface_hub import HfApi, constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf-cache"))

    def make(token: str | bool = False) -> HfApi:
        return HfApi(endpoint=live_hub.url, token=token)

    return make


@pytest.fixture
def send(creator: User) -> pushes.Send:
    """Requests of ada, by a token that may write."""
    return pushes.sender(creator)


@pytest.fixture
def entry(send: pushes.Send) -> Entry:
    """ada/lantern, just made by a program, still empty."""
    assert send("POST", pushes.CREATE, {"name": "lantern", "organization": None, "type": "model"}).status_code == 200
    return Entry.objects.get()
