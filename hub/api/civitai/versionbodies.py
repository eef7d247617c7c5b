"""The whole answers about versions, for one or a hundred of them in one query. Who may see them, the caller knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from hub.api.civitai import shapes, whole
from hub.api.civitai.rows import EntryRow, VersionRow
from registry import queries, ratings
from registry.models import Status, User, Version
from registry.statements import Kept, Statement

_statements = Kept(300)


def asked_by(user: User | None, make: Callable[[User | None], QuerySet[Version]]) -> Statement:
    """The statement that reads the versions which `make` finds for this person: for `bodies`."""
    return _statements.get((make, who(user)), lambda: whole.versions(make(user)))


def who(user: User | None) -> str:
    """Whose statements somebody may share: all moderators see the same, and so does everybody who is nobody, up to the site's cap."""
    return "moderator" if queries.is_moderator(user) else f"{f'user {user.pk}' if user else 'nobody'} up to {ratings.cap()}"


def bodies(origin: str, statement: Statement, **given: Any) -> dict[int, dict[str, Any]]:
    """id -> the object of /model-versions/{id}. What is gone keeps name, metadata and hashes, and loses every address."""
    found = {}
    for row in statement.run(**given):
        entry, version = whole.version(row)
        if is_gone(entry, version):
            _take_addresses(version)
        found[version.id] = shapes.version_object(origin, entry, version)
    return found


def is_gone(entry: EntryRow, version: VersionRow) -> bool:
    """As `Version.gone`, of rows."""
    return entry.deleted_at is not None or version.deleted_at is not None or version.status == Status.WITHDRAWN


def _take_addresses(version: VersionRow) -> None:
    for file in version.files:
        file.downloadable = False
    version.held, version.files, version.images = [*version.files, *version.held], [], []
