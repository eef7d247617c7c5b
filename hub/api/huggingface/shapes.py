"""The objects of this protocol: repositories, files of a tree, commits. Made of rows that others have read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from hub.api.huggingface import generated, tags, trees
from hub.api.huggingface.answers import iso
from hub.api.huggingface.repositories import repo_id
from hub.api.huggingface.security import UNSCANNED, file_status, newest_reports, text_status
from registry.commits import Row, lfs_pointer
from registry.models import CLOSED, Commit, Entry, File, Version

Shape = dict[str, Any]
ALWAYS = ("_id", "id", "modelId")
"""Keys that are sent whatever `expand` asks for."""


def repository(entry: Entry) -> Shape:
    """What is known of an entry without looking into a tree."""
    name = repo_id(entry)
    return {
        "_id": f"{entry.pk:024x}",
        "id": name,
        "modelId": name,
        "author": entry.owner.username,
        "lastModified": iso(entry.updated_at),
        "createdAt": iso(entry.created_at),
        "private": entry.visibility in CLOSED,
        "gated": False,
        "disabled": False,
        "downloads": entry.download_count,
        "downloadsAllTime": entry.download_count,
        "likes": 0,
        "trendingScore": 0,
        "tags": tags.tags_of(entry),
        "pipeline_tag": tags.task_of(entry),
        "library_name": tags.library_of(entry),
    }


def with_tree(shape: Shape, version: Version, commit: Commit, *, blobs: bool = False) -> Shape:
    """The same with what a tree says: its sha, its files, its card. The date is the tree's where that is newer."""
    newest = max(shape["lastModified"], iso(commit.created_at))
    siblings = [_sibling(row, blobs=blobs) for row in commit.tree]
    stored = sum(row["size"] for row in commit.tree)
    card = {"cardData": generated.card_data(version), "siblings": siblings, "usedStorage": stored}
    return {**shape, "sha": commit.sha, "lastModified": newest, **card, "spaces": []}


def _sibling(row: Row, *, blobs: bool) -> Shape:
    shape: Shape = {"rfilename": row["path"]}
    if blobs:
        shape |= {"size": row["size"], "blobId": row["oid"]}
        if "sha256" in row:
            shape["lfs"] = {"sha256": row["sha256"], "size": row["size"], "pointerSize": _pointer_size(row)}
    return shape


def _pointer_size(row: Row) -> int:
    return len(lfs_pointer(row["sha256"], row["size"]))


def only(shape: Shape, wanted: Collection[str]) -> Shape:
    """The keys that `expand` names; everything where it names none."""
    return {key: value for key, value in shape.items() if key in ALWAYS or key in wanted} if wanted else shape


class Scans:
    """The scans of a tree's files: two queries, whatever the tree holds."""

    def __init__(self, rows: Iterable[Shape]) -> None:
        ids = [row["file"] for row in rows if "file" in row]
        self._files = File.objects.select_related("blob", "version__entry").in_bulk(ids)
        self._reports = newest_reports(file.blob_id for file in self._files.values() if file.blob_id is not None)

    def status(self, row: Row) -> Shape:
        """`securityFileStatus` of one row. A file that was deleted since has none any more."""
        if "file" not in row:
            return text_status()
        file = self._files.get(row["file"])
        if file is None:
            return {**text_status(), "status": UNSCANNED, "message": "Deleted by its creator."}
        return file_status(file, self._reports.get(file.blob_id or 0))


def security_status(rows: list[Row]) -> Shape:
    """`securityRepoStatus` of a tree: which files are not plainly safe, and whether all have been judged."""
    scans = Scans(rows)
    found = [(row["path"], scans.status(row)["status"]) for row in rows]
    issues = [{"path": path, "level": status} for path, status in found if status != "safe"]
    return {"scansDone": not any(status == "queued" for _, status in found), "filesWithIssues": issues}


def tree_file(row: Row) -> Shape:
    shape: Shape = {"type": "file", "oid": row["oid"], "size": row["size"], "path": row["path"]}
    if "sha256" in row:
        shape["lfs"] = {"oid": row["sha256"], "size": row["size"], "pointerSize": _pointer_size(row)}
    return shape


def expanded(row: Row, last: Commit, scans: Scans) -> Shape:
    """A tree's file with the commit that brought it, and the state of its scan."""
    brought = {"id": last.sha, "title": last.title, "date": iso(last.created_at)}
    return {**tree_file(row), "lastCommit": brought, "securityFileStatus": scans.status(row)}


def tree_folder(path: str, rows: Iterable[Row]) -> Shape:
    """A folder; git would name it by a tree object, of which the hub has none: the same files give the same id."""
    oid = hashlib.sha1("".join(f"{row['path']}\0{row['oid']}\n" for row in rows).encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "oid": oid, "size": 0, "path": path}


def commit(row: Commit) -> Shape:
    authors = [{"user": trees.author_name(row)}]
    return {"id": row.sha, "title": row.title, "message": row.message, "authors": authors, "date": iso(row.created_at)}


def tree_level(rows: list[Row], path: str, *, recursive: bool) -> Iterable[Row | Shape]:
    """The rows themselves and each folder on the way once, where its first file is; not below the first level unless recursive."""
    start = len(path) + 1 if path else 0
    within = folders_of(rows)
    for row in rows:
        inside = "/" in row["path"][start:]
        for folder in _above(row["path"], start):
            if folder in within:
                yield tree_folder(folder, within.pop(folder))
            if not recursive:
                break
        if recursive or not inside:
            yield row


def folders_of(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Folder -> the rows below it at any depth, in one pass: a tree may have 2,000 files in as many folders of seven levels."""
    within: dict[str, list[Row]] = {}
    for row in rows:
        for folder in _above(row["path"], 0):
            within.setdefault(folder, []).append(row)
    return within


def _above(path: str, start: int) -> Iterator[str]:
    """The folders that a path lies in, the highest first, from the sign at `start` on."""
    at = path.find("/", start)
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
