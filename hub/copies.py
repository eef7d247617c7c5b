"""What a file on somebody's disk is, told by hashes that were made there: intact, cut short, changed, unknown. Its bytes never come here.

Only files that the visitor may know of are compared (`queries.visible_files`); to everybody else a private one is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Exists, F, IntegerField, OuterRef, QuerySet, Value, When

from registry import queries, search
from registry.models import BlobHash, File, Status, Verdict

LOOKS = ("page", "json", "pointer", "empty", "cut")
"""What else the first bytes of a download may be: a web page, an error message, a git LFS pointer, nothing, half a safetensors header."""
MAX_BYTES = 2**60


@dataclass(frozen=True, slots=True)
class Copy:
    """What is known of a copy. Hashes are upper-case hex or "", sizes in bytes or 0.

    `data`: SHA-256 of what follows a safetensors header; `early`: AutoV1; `declared_bytes`: where its header says that the file ends.
    """

    sha256: str = ""
    data: str = ""
    early: str = ""
    size_bytes: int = 0
    declared_bytes: int = 0
    name: str = ""
    looks: str = ""
    other: str = ""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Copy:
        """From a form's fields; what is malformed is left out. `other`: a hash of any kind and length, that somebody pasted."""

        def whole(name: str) -> int:
            text = str(given.get(name, ""))
            return int(text) if re.fullmatch(r"[0-9]{1,18}", text) and int(text) < MAX_BYTES else 0

        def long_hash(name: str, length: int = 64) -> str:
            text = str(given.get(name, "")).upper()
            return text if len(text) == length and set(text) <= set("0123456789ABCDEF") else ""

        pasted = re.search(r"(?:0x)?([0-9a-fA-F]{8,64})", search.clean(str(given.get("hash", ""))))
        other = queries.hash_digits(pasted[1]) if pasted else ""
        sha256 = long_hash("sha256") or (other if len(other) == 64 else "")
        looks = str(given.get("looks", ""))
        return cls(
            sha256,
            queries.hash_digits(long_hash("data")),
            long_hash("early", 8),
            whole("size"),
            whole("end"),
            search.clean(str(given.get("name", "")))[:255],
            looks if looks in LOOKS else "",
            other,
        )

    @property
    def asked(self) -> bool:
        return bool(self.sha256 or self.other)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`what` is intact, match, other-file, cut-short, too-long, same-tensors, altered, not-weights or unknown.

    `file`: the one of ours that it is, or should be. `sure` is False where only name and size tell. `end_bytes`: where it should end.
    """

    what: str
    file: File | None = None
    sure: bool = True
    end_bytes: int = 0
    others: int = 0

    @property
    def dangerous(self) -> bool:
        return self.file is not None and self.file.verdict == Verdict.DANGER


def check(user: Any, copy: Copy, wanted: File | None = None) -> Outcome:
    """What `copy` is. `wanted`: the file that it should be; whoever passes it has asked whether the visitor may see it."""
    files = _best_first(queries.visible_files(user))
    if exact := _exact(files, copy, wanted):
        return exact
    if copy.looks == "cut":
        longer = _first(files.filter(name=copy.name, blob__size_bytes__gt=copy.size_bytes), wanted)
        return Outcome("cut-short", longer, sure=False, end_bytes=longer.size_bytes if longer else 0)
    if copy.looks:
        return Outcome("not-weights", wanted)
    if copy.size_bytes:
        return _by_shape(files, copy, wanted) or Outcome("unknown", wanted)
    return Outcome("unknown", wanted)


def _exact(files: QuerySet[File], copy: Copy, wanted: File | None) -> Outcome | None:
    """The same bytes, the same tensors, or what a pasted hash of another kind means."""
    if copy.sha256:
        same = list(files.filter(blob__sha256=copy.sha256.lower())[:50])
        if wanted is not None and wanted in same:
            return Outcome("intact", wanted, others=len(same) - 1)
        if same:
            return Outcome("other-file" if wanted else "intact", same[0], others=len(same) - 1)
    tensors = copy.data or ("" if copy.size_bytes else copy.other)
    if len(tensors) == 64 and (found := _first(_with(files, "DATA", tensors), wanted)):
        return Outcome("same-tensors", found)
    if copy.other and not copy.size_bytes and (found := _first(files.filter(blob__in=queries.blobs_by_hash(copy.other)), wanted)):
        return Outcome("match", found)
    return None


def _by_shape(files: QuerySet[File], copy: Copy, wanted: File | None) -> Outcome | None:
    """What its header, its beginning, its name and its size tell of a copy whose bytes are nobody's."""
    named = files.filter(name=copy.name) if copy.name else files.none()
    early = _with(files, "AutoV1", copy.early) if copy.early else files.none()
    if copy.declared_bytes > copy.size_bytes:
        whole = early.filter(blob__size_bytes=copy.declared_bytes) if copy.early else named.filter(blob__size_bytes=copy.declared_bytes)
        meant = _first(whole, wanted) or (wanted if wanted and wanted.size_bytes == copy.declared_bytes else None)
        return Outcome("cut-short", meant, end_bytes=copy.declared_bytes)
    if 0 < copy.declared_bytes < copy.size_bytes:
        return Outcome("too-long", _first(named, wanted), end_bytes=copy.declared_bytes)
    if found := _first(early.filter(blob__size_bytes__gt=copy.size_bytes), wanted):
        return Outcome("cut-short", found, sure=found.name == copy.name, end_bytes=found.size_bytes)
    if wanted is not None:
        named |= files.filter(pk=wanted.pk)
    if found := _first(named.filter(blob__size_bytes=copy.size_bytes), wanted):
        return Outcome("altered", found)
    longer = _first(named.filter(blob__size_bytes__gt=copy.size_bytes), wanted)
    if longer and not copy.declared_bytes:
        return Outcome("cut-short", longer, sure=False, end_bytes=longer.size_bytes)
    return Outcome("other-file", None) if wanted else None


def _best_first(files: QuerySet[File]) -> QuerySet[File]:
    """Of several files with the same bytes, what is served before what is gone, then the oldest."""
    live = When(version__status=Status.PUBLISHED, version__deleted_at=None, version__entry__deleted_at=None, then=Value(0))
    rank = Case(live, default=Value(1), output_field=IntegerField())
    known = files.filter(blob__isnull=False).select_related("blob", "version__entry__owner")
    return known.order_by(rank, F("version__published_at").asc(nulls_last=True), "id")


def _with(files: QuerySet[File], kind: str, value: str) -> QuerySet[File]:
    return files.filter(Exists(BlobHash.objects.filter(blob=OuterRef("blob_id"), kind=kind, value=value)))


def _first(files: QuerySet[File], wanted: File | None) -> File | None:
    """`wanted` where it is among them, else the best."""
    if wanted is not None and files.filter(pk=wanted.pk).exists():
        return wanted
    return files.first()
