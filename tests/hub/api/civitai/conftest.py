"""Callers of the Civitai API: a client for each kind of person, and an entry in every condition that matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from registry import catalog
from registry.models import Blob, File, Token, User
from tests.factories import EntryFactory, VersionFactory
from tests.hub.published import published_entry, published_file, published_version

Get = Callable[..., Any]


def reader(user: User | None) -> Get:
    """`get(path, **query)` as this person, by token; nobody for None."""
    headers = {"Authorization": f"Bearer {Token.issue(user, 'tests')[1]}"} if user else {}

    def get(path: str, query: Any = None, method: str = "get") -> Any:
        return getattr(Client(headers=headers), method)(path, query or {})

    return get


@pytest.fixture
def get(db: None) -> Get:
    return reader(None)


@pytest.fixture
def people(creator: User, stranger: User, moderator: User) -> dict[str, Get]:
    return {"anonymous": reader(None), "owner": reader(creator), "other": reader(stranger), "moderator": reader(moderator)}


def condition(owner: User, name: str, data: bytes) -> File:
    """A file of an entry that is public, unlisted, private, draft, withdrawn, deleted, private-withdrawn or quarantined."""
    if name == "draft":
        return published_file(owner, data, version=VersionFactory(entry=EntryFactory(owner=owner)))
    visibility = {"unlisted": "unlisted", "private": "private", "private-withdrawn": "private"}.get(name, "public")
    file = published_file(owner, data, version=published_version(published_entry(owner, visibility=visibility)))
    if name.endswith("withdrawn"):
        catalog.withdraw(file.version, "made by mistake")
    if name == "deleted":
        catalog.delete_entry(file.version.entry, "asked by its creator")
    if name == "quarantined":
        Blob.objects.filter(pk=file.blob_id).update(sealed=True, verdict="danger")
        File.objects.filter(pk=file.pk).update(state="quarantined")
    return File.objects.select_related("blob", "version__entry").get(pk=file.pk)
