"""Frozen trees in git's words: object ids, what a revision means, and the only way to write a commit. Knows no protocol.

What goes into a tree is the caller's choice; that a commit never changes, and that nobody reads what is not theirs, is kept here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, Func, JSONField, OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django.utils import timezone

from registry import queries
from registry.catalog import IN_WORK
from registry.models import Commit, CommitTag, Entry, File, SmallFile, Status, User, Version

Row = dict[str, Any]
"""One row of a tree, as `Commit.tree` describes it."""
MAIN = "main"
SHA = re.compile(r"[0-9a-f]{40}")
LARGE_TEXT = 128 * 2**10
UNSHOWN = timedelta(hours=1)
"""How long a text stays that lies in no tree."""
RENEWED = timedelta(minutes=30)
"""A text that trees share is written to at most this often."""
NUMBER = re.compile(r"[1-9][0-9]{0,17}")


class NoSuchRevision(LookupError):
    """No branch, tag or commit of that name that this caller may read."""


class ParentMoved(Exception):
    """Somebody froze another tree of the version first: look at it, and try again."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a revision means. `commit` is None for a branch: its head is whatever the version holds now."""

    version: Version
    commit: Commit | None


def git_blob_oid(data: bytes) -> str:
    """git's id of these bytes: SHA-1 over "blob <size>\\0" and the bytes, 40 lower-case hex digits."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The text that git keeps in place of a large file (git-lfs specification, version 1)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def lfs_pointer_oid(sha256: str, size: int) -> str:
    return git_blob_oid(lfs_pointer(sha256, size))


def file_row(file: File, path: str = "") -> Row:
    """The row of a stored file; `path` where it may not have its own. Its blob must be known, or its SHA-256 declared."""
    sha256 = file.sha256 or file.declared_sha256.lower()
    oid = lfs_pointer_oid(sha256, file.size_bytes)
    return {"path": path or file.path or file.name, "size": file.size_bytes, "oid": oid, "sha256": sha256, "file": file.pk}


def text_row(path: str, content: bytes, *, kept: bool = False) -> Row:
    """The row of a text. `kept`: its creator wrote it, so later trees hold it too, before anything that the hub would write."""
    row: Row = {"path": path, "size": len(content), "oid": git_blob_oid(content)}
    return {**row, "kept": True} if kept else row


def freeze(
    version: Version,
    rows: Iterable[Row],
    texts: Mapping[str, bytes] | None = None,
    *,
    author: User | None = None,
    title: str,
    message: str = "",
    open: bool = True,
    stamp: str = "",
    parent: Commit | None,
) -> Commit:
    """Write a new commit of `version` after `parent`, which must still be `latest(version)`, else `ParentMoved`.

    `rows` is the tree in the order that clients see. `texts` (path -> content) are stored; those without a row get one at the end.
    `open` means that everybody who may read the version may see it now. The sha covers tree, parent, moment and title.
    """
    tree = _with_texts(list(rows), texts or {})
    with transaction.atomic():
        Version.objects.select_for_update(no_key=True, of=("self",)).only("pk").get(pk=version.pk)
        before = Commit.objects.filter(version=version).values_list("pk", flat=True).first()
        if before != (parent.pk if parent else None):
            raise ParentMoved
        _keep(set((texts or {}).values()))
        now = timezone.now()
        _renew({row["oid"] for row in tree if "sha256" not in row}, now)
        sha = _sha(version, tree, parent.sha if parent else "", now.astimezone(UTC).isoformat(), title)
        fields = {"author": author, "title": title[:200], "message": message, "open": open, "stamp": stamp, "created_at": now}
        return Commit.objects.create(sha=sha, version=version, parent=parent, tree=tree, **fields)


def _keep(texts: Iterable[bytes]) -> None:
    """Store texts, large ones one by one: a statement holds its values twice more, in hexadecimal digits."""
    rows = [SmallFile(oid=git_blob_oid(data), size_bytes=len(data), content=data) for data in texts]
    for batch, of in ((100, False), (1, True)):
        chosen = [row for row in rows if (row.size_bytes > LARGE_TEXT) is of]
        SmallFile.objects.bulk_create(chosen, ignore_conflicts=True, batch_size=batch)


def _renew(oids: set[str], now: datetime) -> None:
    """Keep these texts from being forgotten while the tree that has them is not there yet. Raises `ParentMoved` where one just was."""
    kept = SmallFile.objects.filter(pk__in=oids)
    stale = kept.filter(created_at__lt=now - RENEWED).order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
    kept.filter(pk__in=list(stale)).update(created_at=now)
    if kept.count() != len(oids):
        raise ParentMoved


def forget_texts(limit: int = 500) -> int:
    """Forget texts that lie in no tree: what was pushed to a repository that is gone. How many. Called by the tidying."""
    return sum(map(_forget_text, _forgettable().values_list("pk", flat=True)[:limit]))


def _forgettable() -> QuerySet[SmallFile]:
    row = Func(JSONObject(oid=OuterRef("pk")), function="jsonb_build_array", output_field=JSONField())
    shown = Commit.objects.filter(tree__contains=row)
    old = SmallFile.objects.filter(created_at__lt=timezone.now() - UNSHOWN)
    return old.filter(~Exists(shown)).order_by("created_at")


@transaction.atomic
def _forget_text(pk: str) -> bool:
    """Forget one unless a tree has come to have it: the lock holds up whoever writes one now."""
    if not SmallFile.objects.select_for_update().filter(pk=pk, created_at__lt=timezone.now() - UNSHOWN).exists():
        return False
    return bool(_forgettable().filter(pk=pk).delete()[0])


def _with_texts(rows: list[Row], texts: Mapping[str, bytes]) -> list[Row]:
    known = {row["path"]: row for row in rows}
    if len(known) != len(rows):
        raise ValueError("two rows of one tree have the same path")
    for path, content in texts.items():
        if path not in known:
            rows.append(text_row(path, content))
        elif known[path]["oid"] != git_blob_oid(content):
            raise ValueError(f"the row of {path} has the oid of other bytes")
    return rows


def _sha(version: Version, tree: list[Row], *parts: str) -> str:
    canonical = json.dumps([version.pk, tree, *parts], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha1(canonical.encode(), usedforsecurity=False).hexdigest()


def latest(version: Version) -> Commit | None:
    """The newest commit, open or not: what the next one must name as its parent."""
    return Commit.objects.filter(version=version).first()


def latest_of(versions: Iterable[Version]) -> QuerySet[Commit]:
    """`latest` of each."""
    return Commit.objects.filter(version__in=list(versions)).order_by("version_id", "-pk").distinct("version_id")


def being_pushed(versions: Iterable[Version]) -> set[int]:
    """Ids of those whose newest closed commit is in work: who may edit them sees that one. Two queries for all."""
    closed = list(Commit.objects.filter(version__in=list(versions), open=False).order_by("version_id", "-pk").distinct("version_id"))
    ids = {row["file"] for commit in closed for row in commit.tree if "file" in row}
    working = set(File.objects.filter(pk__in=ids, state__in=IN_WORK).values_list("pk", flat=True)) if ids else set()
    return {commit.version_id for commit in closed if any(row.get("file") in working for row in commit.tree)}


def newest(version: Version, user: Any) -> Commit | None:
    """The newest commit that this user may see: for who may edit, an upload's own while a file of it is still in work."""
    if queries.may_edit(user, version.entry):
        closed = Commit.objects.filter(version=version, open=False).first()
        if closed is not None and in_work(closed):
            return closed
    return Commit.objects.filter(version=version, open=True).first()


def in_work(commit: Commit) -> bool:
    """Whether any file of this tree is still arriving or being judged."""
    ids = [row["file"] for row in commit.tree if "file" in row]
    return bool(ids) and File.objects.filter(pk__in=ids, state__in=IN_WORK).exists()


def versions_of(entry: Entry, user: Any) -> QuerySet[Version]:
    """The versions of an entry that this user may read as branches: not withdrawn, not deleted; drafts only who may edit."""
    versions = Version.objects.filter(entry=entry, deleted_at=None, entry__deleted_at=None).exclude(status=Status.WITHDRAWN)
    versions = versions.select_related("entry__owner").order_by("position", "-id")
    return versions if queries.may_edit(user, entry) else versions.filter(status=Status.PUBLISHED)


def main_version(versions: Iterable[Version]) -> Version | None:
    """The one that `main` means among `versions_of`: the newest published one; where there is none, the draft that was there first."""
    found = list(versions)
    published = [version for version in found if version.status == Status.PUBLISHED]
    return next(iter(published), None) or min(found, key=lambda version: version.pk, default=None)


def find(entry: Entry, user: Any, revision: str) -> Revision:
    """What `revision` means to this user: `main`, a branch, a version id, a tag or a commit. Raises `NoSuchRevision`.

    The caller has checked that the user may read the entry. `refs/heads/x` and `refs/tags/x` are taken at their word.
    """
    versions = versions_of(entry, user)
    if SHA.fullmatch(revision):
        return _commit(Commit.objects.filter(sha=revision, version__in=versions), entry, user)
    if revision.startswith("refs/tags/"):
        return _tagged(entry, user, revision.removeprefix("refs/tags/"))
    name = revision.removeprefix("refs/heads/")
    if name == MAIN:
        version = main_version(versions)
    elif NUMBER.fullmatch(name):
        version = versions.filter(pk=int(name)).first()
    else:
        version = versions.filter(branch=name).first()
    if version is not None:
        return Revision(version, None)
    if name != revision:
        raise NoSuchRevision(revision)
    return _tagged(entry, user, revision)


def _tagged(entry: Entry, user: Any, name: str) -> Revision:
    tagged = CommitTag.objects.filter(entry=entry, name=name[:80]).values("commit")
    return _commit(Commit.objects.filter(pk__in=tagged, version__in=versions_of(entry, user)), entry, user)


def _commit(found: QuerySet[Commit], entry: Entry, user: Any) -> Revision:
    if not queries.may_edit(user, entry):
        found = found.filter(open=True)
    commit = found.select_related("version__entry__owner", "author").first()
    if commit is None:
        raise NoSuchRevision
    return Revision(commit.version, commit)
