"""Texts of trees: kept as long as a tree has them, forgotten an hour after the last one went, whoever writes meanwhile."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from registry import commits
from registry.models import Commit, SmallFile, User, Version
from tests.factories import VersionFactory

LONG_AGO = timedelta(hours=2)


def frozen(version: Version, parent: Commit | None = None, **texts: bytes) -> Commit:
    return commits.freeze(version, [], {f"{name}.txt": text for name, text in texts.items()}, title="Add texts", parent=parent)


def age() -> None:
    SmallFile.objects.update(created_at=timezone.now() - LONG_AGO)


@pytest.mark.django_db
def test_only_what_lies_in_no_tree_is_forgotten(creator: User) -> None:
    kept, gone = VersionFactory(entry__owner=creator), VersionFactory(entry__owner=creator)
    frozen(kept, a=b"shared", b=b"own")
    frozen(gone, a=b"shared", b=b"other")
    age()
    assert commits.forget_texts() == 0
    gone.delete()
    assert commits.forget_texts() == 1
    assert {bytes(text.content) for text in SmallFile.objects.all()} == {b"shared", b"own"}


@pytest.mark.django_db
def test_young_texts_stay(creator: User) -> None:
    version = VersionFactory(entry__owner=creator)
    frozen(version, a=b"young")
    version.delete()
    assert commits.forget_texts() == 0


@pytest.mark.django_db
def test_a_tree_that_takes_an_old_text_renews_it(creator: User) -> None:
    first, second = VersionFactory(entry__owner=creator), VersionFactory(entry__owner=creator)
    tree = frozen(first, a=b"shared").tree
    age()
    commits.freeze(second, tree, title="Copy", parent=None)
    assert SmallFile.objects.get().created_at > timezone.now() - timedelta(minutes=1)


@pytest.mark.django_db
def test_a_tree_of_a_text_that_is_gone_is_not_written(creator: User) -> None:
    version = VersionFactory(entry__owner=creator)
    tree = [commits.text_row("a.txt", b"gone")]
    with pytest.raises(commits.ParentMoved):
        commits.freeze(version, tree, title="Copy", parent=None)
    assert not Commit.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_text_that_is_being_taken_is_not_forgotten(creator: User) -> None:
    gone, taker = VersionFactory(entry__owner=creator), VersionFactory(entry__owner=creator)
    tree = frozen(gone, a=b"wanted").tree
    age()
    gone.delete()
    counts: list[Any] = []

    def collect() -> None:
        counts.append(commits.forget_texts())
        connections.close_all()

    with transaction.atomic():
        commits.freeze(taker, tree, title="Take", parent=None)
        other = threading.Thread(target=collect)
        other.start()
        other.join(1)
        assert other.is_alive()  # it waits for the text's row
    other.join(20)
    assert counts == [0]
    assert SmallFile.objects.count() == 1
