"""Brings one file of a models folder into the hub: recognise, hash, describe, deposit. It goes the way of every upload from there.

The source is only read. Each file is judged for itself, so that a bad one stops nothing; a second run finds what the first did by its hash.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from hub.imagedoor import admitted
from hub.importing.folders import Found
from hub.importing.told import Told, read
from registry import catalog, images, queries, uploads
from registry.deposit import deposit
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.formats.safetensors import MAX_HEADER
from registry.lifecycle import FileState
from registry.models import Entry, File, Kind, Rating, Role, User, Version
from registry.names import clean_file_name, extension
from registry.recognise import Recognised, recognise

NEW, LINK, GO_ON, KNOWN, REFUSED, FAILED = "import", "link", "go on", "known", "refused", "failed"
NOT_TAKEN = (FileState.FAILED, FileState.DANGER, FileState.QUARANTINED)
MAX_PICTURES = 4
EXPLICIT = Rating.X

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What became of one file, or would: one of the words above, why, and as which model."""

    path: Path
    action: str
    reason: str = ""
    name: str = ""
    kind: str = ""
    base_model: str = ""
    size_bytes: int = 0
    remarks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "path": str(self.path)}


@dataclass(frozen=True)
class Importer:
    """For whom, and how. `publish`: what is found clean is published by itself, as if it had been scheduled for now."""

    owner: User
    visibility: str
    dry_run: bool = False
    publish: bool = False
    group: Any = None

    def bring(self, found: Found) -> Outcome:
        """Import one file, or say what would be done. Never raises for what is wrong with it."""
        outcome = Outcome(found.path, NEW, size_bytes=found.size_bytes)
        try:
            self._bring(found, outcome)
        except FormatError as refusal:
            outcome.action, outcome.reason = REFUSED, f"{refusal.code}: {refusal.sentence}"
        except OSError as error:
            outcome.action, outcome.reason = FAILED, f"could not be read: {error.strerror or type(error).__name__}"
        except Exception as error:  # one file never stops the others; what happened is in the log
            log.exception("import of %s", found.path)
            outcome.action, outcome.reason = FAILED, f"unexpected: {type(error).__name__}"
        return outcome

    def _bring(self, found: Found, outcome: Outcome) -> None:
        name = clean_file_name(found.path.name)
        uploads.check_size(found.size_bytes, self.owner)
        told = read(found.told)
        outcome.remarks += told.problems
        seen = recognise(name, _header(found.path))
        fields = describe(found, told, seen)
        outcome.name, outcome.kind, outcome.base_model = fields["name"], fields["kind"], fields["base_model"]
        sha256 = _sha256(found.path)
        mine = _own_file(self.owner, sha256)
        if mine is not None and mine.state != FileState.UPLOADING:
            refused = f"; they were not taken: {mine.error}" if mine.state in NOT_TAKEN else ""
            outcome.action, outcome.reason = KNOWN, f"you have these bytes as {mine.version.entry.name} {mine.version.name}{refused}"
        elif mine is not None:
            outcome.action, outcome.reason = GO_ON, "an earlier run was interrupted"
            if not self.dry_run:
                deposit(mine.version, self.owner, found.path, mine.name, sha256)
        else:
            self._new(found, told, fields, name, sha256, outcome)

    def _new(self, found: Found, told: Told, fields: dict[str, Any], name: str, sha256: str, outcome: Outcome) -> None:
        if queries.readable_blob(self.owner, sha256) is not None:
            outcome.action, outcome.reason = LINK, "these bytes are in the hub already"
        if found.pictures:
            outcome.remarks.append(f"{len(found.pictures[:MAX_PICTURES])} preview(s)")
        if self.dry_run:
            return
        version, made = self._version(told, fields)
        try:
            deposit(version, self.owner, found.path, name, sha256)
        except BaseException:
            _take_back(version, made)
            raise
        if self.publish:
            Version.objects.filter(pk=version.pk).update(publish_at=timezone.now() - timedelta(seconds=1))
        outcome.remarks += self._pictures(found, version, fields["rating"])

    @transaction.atomic
    def _version(self, told: Told, fields: dict[str, Any]) -> tuple[Version, bool]:
        """The draft for a file, and whether its entry was made for it: versions of one model elsewhere are versions of one entry here."""
        entry = self._same_model(fields) if told.version_of else None
        made = entry is None
        if entry is None:
            known = {key: fields[key] for key in ("name", "kind", "description", "tags", "rating")}
            entry = catalog.create_entry(self.owner, visibility=self.visibility, group=self.group, **known)
        about = {"base_model": fields["base_model"], "trigger_words": fields["words"], "description": told.about_version[:20_000]}
        return catalog.create_version(entry, name=fields["version"], **about), made

    def _same_model(self, fields: dict[str, Any]) -> Entry | None:
        mine = Entry.objects.filter(owner=self.owner, name=fields["name"], kind=fields["kind"], deleted_at=None)
        return mine.select_related("owner").order_by("pk").first()

    def _pictures(self, found: Found, version: Version, rating: int) -> list[str]:
        """Attach the previews; returns what could not be."""
        problems = []
        for path in found.pictures[:MAX_PICTURES]:
            try:
                with path.open("rb") as source:
                    data = source.read(64 << 20)
                layout = admitted(data)
                size = (layout.width, layout.height)
                images.attach(self.owner, version, data, name=path.name, kind=layout.kind, size=size, rating=rating)
            except (FormatError, OSError) as error:
                problems.append(f"{printable(path.name, 80)} was left out: {getattr(error, 'sentence', 'could not be read')}")
        return problems


def describe(found: Found, told: Told, seen: Recognised) -> dict[str, Any]:
    """The fields of entry and version. What tensors prove counts before what somebody wrote, that before the name of a folder."""
    return {
        "name": told.name or seen.name,
        "version": told.version or seen.version or "v1",
        "kind": seen.kind or told.kind or found.kind or Kind.OTHER,
        "base_model": seen.base_model or told.base_model or "Other",
        "words": list(dict.fromkeys([*told.words, *([] if told.words else seen.trigger_words)])),
        "description": told.text(),
        "tags": told.tags,
        "rating": EXPLICIT if told.explicit else Rating.PG,
    }


def _header(path: Path) -> bytes:
    """The JSON of a safetensors header; nothing of any other file: pickles are for the scanner alone."""
    if extension(path.name) not in (".safetensors", ".sft"):
        return b""
    with path.open("rb") as source:
        length = int.from_bytes(source.read(8), "little")
        return source.read(length) if 2 <= length <= MAX_HEADER else b""


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _own_file(owner: User, sha256: str) -> File | None:
    """The owner's file of these bytes: under way, arrived, or judged and refused. An upload that was given up counts as none."""
    rows = File.kept.filter(version__entry__owner=owner, version__deleted_at=None, version__entry__deleted_at=None, role=Role.UPLOADED)
    rows = rows.exclude(state=FileState.FAILED, blob=None).select_related("version__entry__owner")
    return rows.filter(declared_sha256=sha256).first() or rows.filter(blob__sha256=sha256).first()


def _take_back(version: Version, entry_too: bool) -> None:
    """Leave no empty draft behind a file that was refused. An upload that only broke off is kept, to go on with."""
    if version.files.exists():
        return
    if entry_too:
        catalog.delete_entry(version.entry)
    else:
        catalog.delete_version(version)
