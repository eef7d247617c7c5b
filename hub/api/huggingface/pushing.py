"""What a commit does: files get their places and are queued, texts are kept, and the tree that comes of it is frozen; all or nothing.

A file that is replaced or deleted leaves the version and stays in the trees that were frozen before. What the hub itself wrote (its
card, variants) is no one's to delete: it goes with what it was made from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from hub.api.huggingface import trees
from hub.api.huggingface.answers import HubError, RevisionNotFound
from hub.api.huggingface.operations import ADD_FILE, ADD_TEXT, DELETE_FILE, Header, Operation
from inference import previews
from registry import cards, commits, incoming, pushes, queries
from registry.commits import Row
from registry.lifecycle import FileState
from registry.models import Commit, Entry, File, Role, Status, User, Version
from registry.repopaths import check_tree

CARD = "README.md"
MAX_ROWS = 2_000
"""Files and texts of a version: every commit freezes them all."""
MOVED = "A commit has happened since. Please refresh and try again."
GONE = "A file with this name doesn't exist"


@dataclass(slots=True)
class Change:
    """One push while it is applied. `rows` is the tree as it becomes, by path; `files` the version's uploads by path."""

    version: Version
    user: User
    rows: dict[str, Row]
    files: dict[str, list[File]]
    before: dict[str, Row]
    removed: set[int] = field(default_factory=set)
    texts: dict[str, bytes] = field(default_factory=dict)
    added: set[str] = field(default_factory=set)
    spared: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pushed:
    """The commit that holds the push now (an older one where it changed nothing), and what it asked to delete and could not."""

    commit: Commit
    spared: tuple[str, ...] = ()


@transaction.atomic
def push(version: Version, user: User, header: Header, operations: list[Operation]) -> Pushed:
    """Apply the operations in the order: deletions, then files and texts. Pushes to one version wait for each other.

    Asked again with what is there already, it changes nothing and answers the same commit. Raises `HubError` 412 where the parent that
    the client saw is no longer the head (what the hub itself added beside it does not count), 404, and `FormatError`.
    """
    _hold(version)
    head = trees.head(version, user)
    change = Change(version, user, {row["path"]: row for row in head.tree}, _uploads(version), _rows_before(version, user))
    todo = [operation for operation in operations if not _is_done(change, operation)]
    if not todo:
        return Pushed(head)
    _check_parent(version, head, header.parent, {operation.path for operation in todo})
    for operation in todo:
        if operation.key not in (ADD_TEXT, ADD_FILE):
            _delete(change, operation)
    for operation in todo:
        if operation.key == ADD_FILE:
            _place(change, operation)
        elif operation.key == ADD_TEXT:
            _keep_text(change, operation)
    if not (change.removed or change.added or len(change.rows) != len(head.tree)):
        return Pushed(head, tuple(change.spared))
    return Pushed(_freeze(change, header), tuple(change.spared))


def _hold(version: Version) -> None:
    """Lock the version. Raises `RevisionNotFound` where it, or its entry, was deleted or withdrawn since it was found."""
    there = Version.objects.filter(pk=version.pk, deleted_at=None, entry__deleted_at=None).exclude(status=Status.WITHDRAWN)
    if there.select_for_update(no_key=True, of=("self",)).only("pk").first() is None:
        raise RevisionNotFound(version.branch)


def _uploads(version: Version) -> dict[str, list[File]]:
    """What people uploaded, in whichever state, by path; not what is still arriving."""
    found: dict[str, list[File]] = {}
    for file in version.files.filter(role=Role.UPLOADED).exclude(state=FileState.UPLOADING):
        found.setdefault(file.path or file.name, []).append(file)
    return found


def _rows_before(version: Version, user: User) -> dict[str, Row]:
    """The tree before this user's newest commit: what a client that lost its answer sends again was done to that one."""
    newest = Commit.objects.filter(version=version, author=user).select_related("parent").first()
    return {row["path"]: row for row in newest.parent.tree} if newest and newest.parent else {}


def _is_done(change: Change, operation: Operation) -> bool:
    """Whether the tree is already as the operation wants it."""
    row = change.rows.get(operation.path)
    if operation.key == ADD_FILE:
        return row is not None and row.get("sha256") == operation.sha256
    if operation.key == ADD_TEXT:
        return row is not None and "sha256" not in row and row["oid"] == commits.git_blob_oid(operation.content)
    there = {**change.rows, **change.files}
    if operation.key == DELETE_FILE:
        return operation.path not in there and operation.path in change.before
    within = f"{operation.path}/"
    return not any(path.startswith(within) for path in there) and any(path.startswith(within) for path in change.before)


def _check_parent(version: Version, head: Commit, parent: str, touched: set[str]) -> None:
    """The client's parent is the head, or all that came since is the hub's own and lies beside what the push touches."""
    if not parent or parent == head.sha:
        return
    seen = Commit.objects.filter(version=version, sha=parent).first()
    if seen is None or Commit.objects.filter(version=version, pk__gt=seen.pk, author__isnull=False).exists():
        raise HubError(412, MOVED)
    old, new = ({row["path"]: row["oid"] for row in commit.tree} for commit in (seen, head))
    changed = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    if any(_overlap(one, other) for one in changed for other in touched):
        raise HubError(412, MOVED)


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/")


def _delete(change: Change, operation: Operation) -> None:
    folder = f"{operation.path}/"
    whole = operation.key != DELETE_FILE
    wanted = [path for path in {**change.rows, **change.files} if (path.startswith(folder) if whole else path == operation.path)]
    if not wanted:
        raise HubError(404, f"{GONE}: {operation.path}", "EntryNotFound")
    for path in wanted:
        row = change.rows.get(path, {})
        if path in change.files:
            _remove(change, path)
        elif row.get("kept"):
            del change.rows[path]
        elif row:
            change.spared.append(path)


def _remove(change: Change, path: str) -> None:
    """Take the uploads at a path out of the version, and what was derived from them."""
    for file in change.files.pop(path, []):
        change.removed.add(file.pk)
        change.removed.update(File.objects.filter(source=file).values_list("pk", flat=True))
        pushes.remove(file)
    change.rows = {at: row for at, row in change.rows.items() if row.get("file") not in change.removed}


def _place(change: Change, operation: Operation) -> None:
    _remove(change, operation.path)
    file = incoming.place(change.version, change.user, operation.path, operation.sha256, operation.size)
    change.rows[operation.path] = commits.file_row(file, operation.path)
    change.added.add(operation.path)


def _keep_text(change: Change, operation: Operation) -> None:
    change.rows[operation.path] = commits.text_row(operation.path, operation.content, kept=True)
    change.texts[operation.path] = operation.content
    change.added.add(operation.path)


def _freeze(change: Change, header: Header) -> Commit:
    rows = sorted(change.rows.values(), key=lambda row: ("file" not in row, not row.get("kept")))
    if len(rows) > MAX_ROWS:
        raise HubError(413, f"A version may have {MAX_ROWS:,} files. Put some into another branch.")
    check_tree(change.rows, change.added)
    _count_texts(change)
    version, parent = change.version, commits.latest(change.version)
    commit = commits.freeze(
        version, rows, change.texts, author=change.user, title=header.title, message=header.message, open=_all_open(rows), parent=parent
    )
    if CARD in change.texts:
        pushes.describe(version, cards.read(change.texts[CARD]))
    if change.removed:
        previews.want_later(version.pk)
    return commit


def _all_open(rows: list[Row]) -> bool:
    """Whether whoever may read the version may fetch every file of this tree now."""
    files = {row["file"] for row in rows if "file" in row}
    return queries.downloadable_files().filter(pk__in=files).count() == len(files)


def _count_texts(change: Change) -> None:
    """Raises `HubError` 413 where the texts of all the owner's models would take more than the hub keeps for one person."""
    size = sum(map(len, change.texts.values()))
    entry = change.version.entry
    used = Entry.objects.filter(owner=entry.owner_id).aggregate(total=Sum("text_bytes"))["total"] or 0
    if used + size > settings.PUSHED_TEXT_BYTES:
        raise HubError(
            413, f"The texts and pictures that you pushed take {used:,} of {settings.PUSHED_TEXT_BYTES:,} bytes; this is too much."
        )
    pushes.count_text(entry, size)
