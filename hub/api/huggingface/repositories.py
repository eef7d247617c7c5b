"""Which entry and which tree an address means to a caller. Everything that must look missing does so here, in one way."""

from __future__ import annotations

from dataclasses import dataclass

from hub.api.huggingface import trees
from hub.api.huggingface.answers import RepoNotFound, RevisionNotFound
from registry import commits, queries
from registry.models import Commit, Entry, User, Version


@dataclass(frozen=True, slots=True)
class Place:
    """A tree of an entry: what a request with a revision is about. `version.entry` is the entry."""

    version: Version
    commit: Commit

    @property
    def entry(self) -> Entry:
        return self.version.entry


def repo_id(entry: Entry) -> str:
    return f"{entry.owner.username}/{entry.slug}"


def find_entry(user: User | None, namespace: str, name: str) -> Entry:
    """Raises `RepoNotFound` for what is missing, deleted, or not this user's to see."""
    entries = queries.readable(user).filter(owner__username=namespace, slug=name, deleted_at=None).select_related("owner")
    entry = entries.first()
    if entry is None:
        raise RepoNotFound(user)
    return entry


def find_revision(entry: Entry, user: User | None, revision: str) -> commits.Revision:
    """Raises `RevisionNotFound`."""
    try:
        return commits.find(entry, user, revision)
    except commits.NoSuchRevision:
        raise RevisionNotFound(revision) from None


def find_place(user: User | None, namespace: str, name: str, revision: str) -> Place:
    """The tree that an address means: a commit as it was frozen, or the head of a branch as it is now."""
    return place_in(find_entry(user, namespace, name), user, revision)


def place_in(entry: Entry, user: User | None, revision: str) -> Place:
    """The same in an entry that this user may read. Raises `RevisionNotFound`."""
    found = find_revision(entry, user, revision)
    found.version.entry = entry  # loaded with its tags only once
    return Place(found.version, found.commit or trees.head(found.version, user))
