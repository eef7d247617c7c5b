"""Reads what the answers need, in a number of queries that does not grow with the rows: plain rows, no model instances.

What may be seen is decided by `registry.queries` and by the caller; nothing here widens it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform

from hub.api.civitai import images, vocabulary
from hub.api.civitai.images import ImageRow
from registry import queries
from registry.lifecycle import FileState
from registry.models import BlobHash, Entry, File, Role, Version
from scanner.models import ScanReport

HASH_KINDS = ("AutoV1", "AutoV2", "AutoV3", "SHA256", "CRC32", "BLAKE3")
"""What this protocol's `hashes` may hold (Civitai's ModelHashType); kinds of our own are looked up by, but not told here."""
HELD_STATES = (FileState.DANGER, FileState.QUARANTINED)


@dataclass(slots=True)
class FileRow:
    """A file with its blob. `downloadable` is `registry.queries.downloadable_files`' word, not ours.

    `metadata`: format, size and fp; fp is left out where the numbers are mixed or unknown.
    """

    id: int
    version_id: int
    name: str
    role: str
    source_id: int | None
    recipe: dict[str, Any]
    state: str
    size_bytes: int
    blob_id: int | None
    verdict: str
    verdict_key: str
    scanned_at: datetime | None
    container: str
    precision: str | None
    flavour: str | None
    downloadable: bool = True
    hashes: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] | None = None
    release: dict[str, str] | None = None
    metadata: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.metadata = {
            "format": vocabulary.FORMAT_OF_CONTAINER.get(self.container, "Other"),
            "size": "pruned" if self.pruned else "full",
        }
        if self.precision in vocabulary.PRECISIONS:
            self.metadata["fp"] = str(self.precision)

    @property
    def pruned(self) -> bool:
        return self.recipe.get("keep", "all") != "all"

    @property
    def file_type(self) -> str:
        return "Pruned Model" if self.pruned else "Model"

    @property
    def overflowed(self) -> bool:
        return bool(self.recipe.get("overflow"))

    @property
    def preference(self) -> int:
        """Among equals: what its creator uploaded, then all weights, then without training state, then the averages."""
        keep = {"all": 1, "weights": 2, "ema": 3}.get(self.recipe.get("keep", "all"), 4)
        return 0 if self.role == Role.UPLOADED else keep


FILE_COLUMNS = (
    "id", "version_id", "name", "role", "source_id", "recipe", "state", "size_bytes", "blob_id", "blob__verdict", "blob__verdict_key",
    "blob__scanned_at", "blob__container",
)  # fmt: skip


@dataclass(slots=True)
class VersionRow:
    id: int
    entry_id: int
    name: str
    position: int
    status: str
    base_model: str
    description: str
    trigger_words: list[str]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    deleted_at: datetime | None
    download_count: int
    thumbs_up: int
    thumbs_down: int
    files: list[FileRow] = field(default_factory=list)
    held: list[FileRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)


VERSION_COLUMNS = tuple(VersionRow.__dataclass_fields__)[:-3]


@dataclass(slots=True)
class EntryRow:
    id: int
    name: str
    kind: str
    description: str
    rating: int
    visibility: str
    allow_no_credit: bool
    allow_commercial_use: list[str]
    allow_derivatives: bool
    allow_different_license: bool
    published_at: datetime | None
    deleted_at: datetime | None
    live: bool
    download_count: int
    thumbs_up: int
    thumbs_down: int
    approval: float
    owner_id: int
    username: str
    relevance: float = 0.0
    tags: list[str] = field(default_factory=list)
    versions: list[VersionRow] = field(default_factory=list)


ENTRY_COLUMNS = (*tuple(EntryRow.__dataclass_fields__)[:-4], "owner__username")


def read_entries(entries: QuerySet[Entry], versions: QuerySet[Version]) -> list[EntryRow]:
    """The rows of `entries`, in its order, each with its tags and those of `versions` that are its own, newest first."""
    found = [EntryRow(*row) for row in entries.values_list(*ENTRY_COLUMNS)]
    by_id = {entry.id: entry for entry in found}
    tags = Entry.tags.through.objects.filter(entry_id__in=by_id).order_by("tag__name")
    for entry_id, name in tags.values_list("entry_id", "tag__name"):
        by_id[entry_id].tags.append(name)
    for version in _plain_versions(versions.filter(entry_id__in=by_id)):
        by_id[version.entry_id].versions.append(version)
    return found


def _plain_versions(versions: QuerySet[Version]) -> list[VersionRow]:
    return [VersionRow(*row) for row in versions.order_by("position", "-id").values_list(*VERSION_COLUMNS)]


def add_files(versions: Iterable[VersionRow]) -> None:
    """Give every version its downloadable files with their hashes, and of their reports what they import and what the antivirus said."""
    by_id = {version.id: version for version in versions}
    files = read_files(queries.downloadable_files().filter(version_id__in=by_id))
    for file in files:
        by_id[file.version_id].files.append(file)
    add_hashes(files)
    add_reports(files)


def add_images(versions: Iterable[VersionRow]) -> None:
    """Give every version the pictures of its previews."""
    by_id = {version.id: version for version in versions}
    for version_id, found in images.read(by_id).items():
        by_id[version_id].images = found


def read_files(files: QuerySet[File]) -> list[FileRow]:
    """Rows without hashes and reports, oldest first."""
    details = (KeyTextTransform(key, "blob__detected") for key in ("precision", "flavour"))
    return [FileRow(*row) for row in files.order_by("id").values_list(*FILE_COLUMNS, *details)]


def add_hashes(files: Iterable[FileRow]) -> None:
    by_blob: dict[int, dict[str, str]] = defaultdict(dict)
    for file in files:
        if file.blob_id is not None:
            file.hashes = by_blob[file.blob_id]
    rows = BlobHash.objects.filter(blob_id__in=by_blob, kind__in=HASH_KINDS)
    for blob_id, kind, value in rows.values_list("blob_id", "kind", "value"):
        by_blob[blob_id][kind] = value


def add_reports(files: Iterable[FileRow]) -> None:
    """Of the newest report of each file {"imports", "antivirus"}.

    Safetensors are left out where there is no antivirus: they import nothing.
    """
    of_blob: dict[int, list[FileRow]] = defaultdict(list)
    for file in files:
        if file.blob_id is not None and (file.container != "safetensors" or settings.CLAMD_SOCKET):
            of_blob[file.blob_id].append(file)
    newest = ScanReport.objects.filter(blob_id__in=of_blob).order_by("blob_id", "-id").distinct("blob_id")
    for blob_id, imports, antivirus in newest.values_list("blob_id", "report__imports", "report__antivirus"):
        for file in of_blob[blob_id]:
            file.report = {"imports": imports, "antivirus": antivirus}
