"""The commits of one version as a user may see them, and which of them brought a file. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from hub.api.huggingface.repositories import Place
from registry import queries
from registry.commits import Row
from registry.models import Commit

SEARCHED = 50
"""Commits that are looked through for the one that brought a file; what is older is told as the oldest of them."""


def visible_commits(place: Place, user: Any) -> QuerySet[Commit]:
    """From the place's commit backwards, newest first; of those that were never open only its own editors know."""
    found = Commit.objects.filter(version=place.version, pk__lte=place.commit.pk).order_by("-pk")
    return found if queries.may_edit(user, place.entry) else found.filter(open=True)


def last_changes(place: Place) -> Callable[[Row], Commit]:
    """row -> the commit since which its path has held the same bytes. One query for all rows of a tree."""
    before = Commit.objects.filter(version=place.version, pk__lte=place.commit.pk).order_by("-pk")
    if place.commit.open:
        before = before.filter(open=True)
    trail = [(commit, {row["path"]: row["oid"] for row in commit.tree}) for commit in before[:SEARCHED]]

    def last(row: Row) -> Commit:
        found = place.commit
        for commit, held in trail:
            if held.get(row["path"]) != row["oid"]:
                break
            found = commit
        return found

    return last
