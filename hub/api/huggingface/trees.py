"""What a version holds now, as a frozen tree: found by a digest where nothing changed, frozen anew where something did.

A tree is the version's downloadable files, the primary first, then the texts that its creator wrote, then those the hub writes.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

from django.conf import settings

from hub import repopaths
from hub.api.huggingface import configs, generated
from hub.api.huggingface.answers import HubError
from registry import commits, queries
from registry.commits import Row
from registry.models import Commit, File, SmallFile, Version

TRIES = 5
FIRST_TITLE = "Initial commit"
ALIASES = frozenset({"model.safetensors", "learned_embeds.safetensors"})
"""Names that loaders try unasked: each stands for the primary safetensors file where a tree has no file of that name."""


def head(version: Version, user: Any) -> Commit:
    """The tree that this user sees of a version now; frozen on the way where the newest one is out of date.

    Who may edit the version sees an upload's own tree while files of it are still being judged. Raises `HubError` 503 where others
    write so fast that no try comes through.
    """
    files = list(queries.downloadable_files().filter(version=version).select_related("blob", "source", "version"))
    for _ in range(TRIES):
        latest = commits.latest(version)
        shown = _shown(version, latest, user)
        if shown is not None and not shown.open:
            return shown
        kept = [row for row in (latest.tree if latest else []) if row.get("kept")]
        stamp = _stamp(version, files, kept, generated.also_from(version))
        if shown is not None and shown.stamp == stamp:
            return shown
        try:
            return _renewed(version, files, kept, stamp, shown, latest)
        except commits.ParentMoved:
            continue
    raise HubError(503, "This repository is being written to. Try again in a moment.", headers={"Retry-After": "2"})


def heads(versions: list[Version], user: Any) -> dict[int, Commit]:
    """As `head` of each of one entry's, by the version's id; more than a few queries only for those that are out of date or pushed to."""
    files: dict[int, list[File]] = {version.pk: [] for version in versions}
    for file in queries.downloadable_files().filter(version__in=versions).select_related("blob", "source", "version"):
        files[file.version_id].append(file)
    newest = {commit.version_id: commit for commit in commits.latest_of(versions)}
    pushed = commits.being_pushed(versions) if versions and queries.may_edit(user, versions[0].entry) else set()
    told = generated.also_from_each(versions)
    found = {}
    for version in versions:
        known = newest.get(version.pk)
        kept = [row for row in (known.tree if known else []) if row.get("kept")]
        plain = known is not None and known.open and version.pk not in pushed
        right = plain and known.stamp == _stamp(version, files[version.pk], kept, told[version.pk])
        found[version.pk] = known if right else head(version, user)
    return found


def _shown(version: Version, latest: Commit | None, user: Any) -> Commit | None:
    """`commits.newest`, spared where it is plain."""
    if latest is None or (latest.open and not queries.may_edit(user, version.entry)):
        return latest
    return commits.newest(version, user)


def _stamp(version: Version, files: list[File], kept: list[Row], told: list[Any]) -> str:
    """Digest of everything that a tree is made from. `told` is `generated.also_from`."""
    entry = version.entry
    made_by = [generated.GENERATOR_VERSION, settings.PUBLIC_URL, configs.has_tokenizers()]
    parts: list[Any] = [made_by, entry.pk, entry.updated_at.isoformat(), version.updated_at.isoformat(), version.status]
    parts += [[file.pk, file.sha256, file.name, file.path] for file in sorted(files, key=lambda file: file.pk)]
    parts += [[row["path"], row["oid"]] for row in kept]
    parts += told
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _renewed(version: Version, files: list[File], kept: list[Row], stamp: str, shown: Commit | None, latest: Commit | None) -> Commit:
    rows, texts = _tree(version, files, kept)
    if shown is not None and shown.tree == rows:
        Commit.objects.filter(pk=shown.pk).update(stamp=stamp)
        return shown
    title = _title(rows, shown.tree if shown else None)
    return commits.freeze(version, rows, texts, title=title, stamp=stamp, parent=latest)


def _tree(version: Version, files: list[File], kept: list[Row]) -> tuple[list[Row], dict[str, bytes]]:
    """(rows, the texts among them that the hub wrote). Of two things at one path the file wins, then the creator's text."""
    places = repopaths.assign(files)
    rows = [commits.file_row(file, places[file.pk]) for file in repopaths.ordered(files)]
    taken = {row["path"] for row in rows}
    rows += [row for row in kept if row["path"] not in taken]
    taken |= {row["path"] for row in kept}
    texts = {path: text for path, text in generated.texts(version, files).items() if path not in taken}
    rows += [commits.text_row(path, text) for path, text in texts.items()]
    return rows, texts


def _title(rows: list[Row], before: list[Row] | None) -> str:
    """What a commit of the hub's does, as git's titles say it."""
    if before is None:
        return FIRST_TITLE
    old, new = ({row["path"]: row["oid"] for row in tree} for tree in (before, rows))
    verbs = {
        "Add": [path for path in new if path not in old],
        "Remove": [path for path in old if path not in new],
        "Update": [path for path in new if path in old and new[path] != old[path]],
    }
    for verb, named in verbs.items():
        if named:
            rest = sum(map(len, verbs.values())) - 1
            return f"{verb} {named[0][:120]}" + (f" and {rest} more" if rest else "")
    return "Change the order of files"


def find_row(tree: list[Row], path: str) -> Row | None:
    """The row at `path`, however its accents are written, or the one that an alias stands for."""
    path = unicodedata.normalize("NFC", path)
    found = next((row for row in tree if row["path"] == path), None)
    if found is None and path in ALIASES:
        return next((row for row in tree if "sha256" in row and row["path"].endswith(".safetensors")), None)
    return found


def read_text(row: Row) -> bytes:
    """The bytes of a text's row."""
    return bytes(SmallFile.objects.get(pk=row["oid"]).content)


def author_name(commit: Commit) -> str:
    """Who made a commit; the hub's own are made by nobody, under the name that no person may have."""
    return commit.author.username if commit.author else "weighhouse"
