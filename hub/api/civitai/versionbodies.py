"""The whole answers about versions, for one or a hundred of them in the same number of queries. Who may see them, the caller knows."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from hub.api.civitai import rows, shapes
from hub.api.civitai.rows import EntryRow, VersionRow
from registry.models import Entry, Status, Version


def bodies(origin: str, versions: QuerySet[Version]) -> dict[int, dict[str, Any]]:
    """id -> the object of /model-versions/{id}. What is gone keeps name, metadata and hashes, and loses every address."""
    entries = rows.read_entries(Entry.objects.filter(pk__in=versions.values("entry")), versions)
    pairs = [(entry, version) for entry in entries for version in entry.versions]
    rows.add_files((version for _, version in pairs), held=True, reports=True)
    rows.add_images([version for entry, version in pairs if not is_gone(entry, version)], meta=True)
    for entry, version in pairs:
        version.held = [file for file in version.held if file.state in rows.HELD_STATES]
        if is_gone(entry, version):
            _take_addresses(version)
    return {version.id: shapes.version_object(origin, entry, version) for entry, version in pairs}


def is_gone(entry: EntryRow, version: VersionRow) -> bool:
    """As `Version.gone`, of rows."""
    return entry.deleted_at is not None or version.deleted_at is not None or version.status == Status.WITHDRAWN


def _take_addresses(version: VersionRow) -> None:
    for file in version.files:
        file.downloadable = False
    version.held, version.files = [*version.files, *version.held], []
