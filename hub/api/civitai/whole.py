"""Entries and versions with everything that an answer tells of them, each read by one prepared statement.

As `rows` reads them, but in one round trip whatever hangs below: lists and look-ups by hash are asked thousands of times an hour.
What may be seen is decided by `registry.queries` and by the caller; nothing here widens it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, When
from django.db.models.fields.json import KeyTextTransform

from hub.api.civitai import images
from hub.api.civitai.rows import ENTRY_COLUMNS, HASH_KINDS, HELD_STATES, VERSION_COLUMNS, EntryRow, FileRow, VersionRow
from hub.verdicts.reports import in_force
from registry import queries
from registry.models import BlobHash, Entry, File, Tag, Version
from registry.statements import Pairs, Row, Rows, as_text
from scanner.models import ScanReport

FILE_COLUMNS = ("id", "version_id", "name", "role", "source_id", "recipe", "state", "size_bytes", "blob_id")
OF_BLOB = {
    "verdict": F("blob__verdict"),
    "verdict_key": F("blob__verdict_key"),
    "scanned_at": F("blob__scanned_at"),
    "container": F("blob__container"),
    "precision": KeyTextTransform("precision", "blob__detected"),
    "flavour": KeyTextTransform("flavour", "blob__detected"),
}
OF_ENTRY = tuple(f"entry__{column}" for column in ENTRY_COLUMNS)
MOMENTS = ("created_at", "updated_at", "published_at", "deleted_at")


def entries(found: QuerySet[Entry], versions: QuerySet[Version]) -> QuerySet[Entry, tuple[Any, ...]]:
    """Rows for `entry`: `found` with its tags, and those of `versions` that are its own with the files that may be downloaded."""
    searched = ("relevance",) if "relevance" in found.query.annotations else ()
    tags = ArraySubquery(Tag.objects.filter(entries=OuterRef("pk")).order_by("name").values("name"))
    own = versions.filter(entry=OuterRef("pk")).order_by("position", "-id")
    below = Rows(own.values(*VERSION_COLUMNS, served=Rows(_served()), pictures=Rows(_pictures(meta=False))))
    return found.values_list(*ENTRY_COLUMNS, *searched, tags, as_text(below))


def entry(row: tuple[Any, ...]) -> EntryRow:
    *columns, tags, below = row
    return EntryRow(*columns, tags=tags, versions=[_version(one) for one in orjson.loads(below)])


def versions(found: QuerySet[Version]) -> QuerySet[Version, tuple[Any, ...]]:
    """Rows for `version`: `found`, each with its entry, files that are served or held, their whole reports, pictures with `meta`."""
    return found.values_list(*VERSION_COLUMNS, *OF_ENTRY, as_text(Rows(_known())), as_text(Rows(_pictures(meta=True))))


def version(row: tuple[Any, ...]) -> tuple[EntryRow, VersionRow]:
    """`files` are served, `held` known but not served. The entry has this version alone, and no tags."""
    columns, of_entry = row[: len(VERSION_COLUMNS)], row[len(VERSION_COLUMNS) : -2]
    found = VersionRow(*columns, images=images.chosen(orjson.loads(row[-1]), meta=True))
    for one in orjson.loads(row[-2]):
        file = _file(one)
        if file.downloadable:
            found.files.append(file)
        elif file.state in HELD_STATES:
            found.held.append(file)
    return EntryRow(*of_entry, versions=[found]), found


def _version(one: dict[str, Any]) -> VersionRow:
    files, pictures = one.pop("served"), one.pop("pictures")
    for name in MOMENTS:
        if one[name] is not None:
            one[name] = datetime.fromisoformat(one[name])
    return VersionRow(**one, files=[_file(file) for file in files], images=images.chosen(pictures))


def _file(one: dict[str, Any]) -> FileRow:
    if one["scanned_at"] is not None:
        one["scanned_at"] = datetime.fromisoformat(one["scanned_at"])
    one["hashes"] = one["hashes"] or {}
    if said := one.pop("said", None):
        one |= {"report": said["report"], "release": said["release_in_force"]}
    return FileRow(**one)


def _served() -> QuerySet[File, dict[str, Any]]:
    """Of a version, in short: of reports only what is imported and what the antivirus said."""
    files = queries.downloadable_files().filter(version=OuterRef("pk")).order_by("id")
    short = Row(_newest_report().values(imports=F("report__imports"), antivirus=F("report__antivirus")))
    if not settings.CLAMD_SOCKET:  # safetensors import nothing, and lists are mostly of them
        short = Case(When(~Q(blob__container="safetensors"), then=short))
    return files.values(*FILE_COLUMNS, **OF_BLOB, hashes=_hashes(), report=short)


def _known() -> QuerySet[File, dict[str, Any]]:
    """Of a version, whole: also what is not served, and who released it."""
    files = File.kept.filter(version=OuterRef("pk"), blob__isnull=False).order_by("id")
    served = Exists(queries.downloadable_files().filter(pk=OuterRef("pk")))
    return files.values(
        *FILE_COLUMNS,
        **OF_BLOB,
        hashes=_hashes(),
        said=Row(in_force(_newest_report()).values("report", "release_in_force")),
        downloadable=served,
    )


def _newest_report() -> QuerySet[ScanReport]:
    return ScanReport.objects.filter(blob=OuterRef("blob_id")).order_by("-id")[:1]


def _hashes() -> Pairs:
    return Pairs(BlobHash.objects.filter(blob=OuterRef("blob_id"), kind__in=HASH_KINDS).values("kind", "value"))


def _pictures(*, meta: bool) -> QuerySet[Any, dict[str, Any]]:
    return images.of_version(OuterRef(OuterRef("pk")), meta=meta)
