"""Trees: frozen once, found again by their stamp, renewed when something changed, in the order that loaders rely on."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from hub import repopaths
from hub.api.civitai import choosing, rows
from hub.api.huggingface import trees
from registry import catalog, commits, queries
from registry.models import Blob, Commit, CommitTag, File, User, Version
from tests.factories import VersionFactory
from tests.hub.api.huggingface.conftest import Call, weights
from tests.hub.published import published_entry, published_file, published_version


def fresh(version: Version) -> Version:
    return Version.objects.select_related("entry__owner").get(pk=version.pk)


def listed(commit: Commit) -> list[str]:
    return [row["path"] for row in commit.tree]


def test_what_did_not_change_is_the_same_commit(file: File) -> None:
    first = trees.head(fresh(file.version), None)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert trees.head(fresh(file.version), None).pk == first.pk
    assert len(asked) == 4  # the version, its files, the newest commit, what its owner says of previews
    assert Commit.objects.count() == 1


def test_a_new_file_makes_a_new_commit_and_leaves_the_old_one(file: File, creator: User) -> None:
    first = trees.head(fresh(file.version), None)
    published_file(creator, weights(2.0), "second.safetensors", version=file.version)
    second = trees.head(fresh(file.version), None)
    assert (second.parent_id, second.author) == (first.pk, None)
    assert second.title.startswith("Add second.safetensors")
    assert len({first.sha, second.sha}) == 2
    assert "second.safetensors" not in listed(Commit.objects.get(pk=first.pk))
    assert "second.safetensors" in listed(second)


def test_a_change_that_no_tree_shows_makes_no_commit(file: File) -> None:
    first = trees.head(fresh(file.version), None)
    catalog.change_version(fresh(file.version))
    again = trees.head(fresh(file.version), None)
    assert again.sha == first.sha
    assert Commit.objects.get().stamp != first.stamp


def test_pictures_that_come_later_change_the_card(settings: Any, creator: User) -> None:
    from tests.renderable import checkpoint_shapes, file_of, made, planned

    settings.PREVIEWS, settings.PUBLIC_URL = True, "https://hub.example.org"
    version = file_of(creator, checkpoint_shapes(), visibility="public").version
    first = trees.head(fresh(version), None)
    made(planned(version.files.get()))
    second = trees.head(fresh(version), None)
    cards = [trees.read_text(row) for commit in (first, second) if (row := trees.find_row(commit.tree, "README.md"))]
    assert [b"/pictures/" in card for card in cards] == [False, True]
    assert trees.head(fresh(version), None).pk == second.pk


def test_a_changed_description_changes_the_card(file: File) -> None:
    first = trees.head(fresh(file.version), None)
    catalog.change_entry(fresh(file.version).entry, description="A lantern in fog.")
    second = trees.head(fresh(file.version), None)
    assert second.title == "Update README.md"
    row = trees.find_row(second.tree, "README.md")
    assert row is not None
    assert b"A lantern in fog." in trees.read_text(row)
    assert trees.find_row(first.tree, "README.md") != row


def test_sealed_files_leave_later_commits_only(file: File, creator: User) -> None:
    other = published_file(creator, weights(2.0), "other.safetensors", version=file.version)
    first = trees.head(fresh(file.version), None)
    Blob.objects.filter(pk=other.blob_id).update(sealed=True, verdict="danger")
    File.objects.filter(pk=other.pk).update(state="quarantined")
    assert "other.safetensors" not in listed(trees.head(fresh(file.version), None))
    assert "other.safetensors" in listed(Commit.objects.get(pk=first.pk))


def test_what_the_creator_wrote_comes_before_what_the_hub_would_write(file: File, creator: User) -> None:
    version = fresh(file.version)
    before = trees.head(version, None)
    mine = commits.text_row("README.md", b"My own words.", kept=True)
    tree = [row for row in before.tree if row["path"] != "README.md"] + [mine]
    commits.freeze(version, tree, {"README.md": b"My own words."}, author=creator, title="Upload README.md", parent=before)
    catalog.change_entry(version.entry, description="Something else.")
    after = trees.head(fresh(version), None)
    row = trees.find_row(after.tree, "README.md")
    assert row == mine
    assert trees.read_text(mine) == b"My own words."


def test_an_uploads_own_tree_is_its_creators_until_it_was_judged(file: File, creator: User, stranger: User, moderator: User) -> None:
    version = fresh(file.version)
    first = trees.head(version, None)
    waiting = published_file(creator, weights(2.0), "new.safetensors", version=version, state="queued")
    closed = commits.freeze(
        version, [*first.tree, commits.file_row(waiting)], author=creator, title="Upload new.safetensors", open=False, parent=first
    )
    assert [trees.head(version, user).sha for user in (creator, moderator)] == [closed.sha] * 2
    assert [trees.head(version, user).sha for user in (stranger, None)] == [first.sha] * 2
    for user in (stranger, None):
        with pytest.raises(commits.NoSuchRevision):
            commits.find(version.entry, user, closed.sha)
    File.objects.filter(pk=waiting.pk).update(state="ready")
    heads = {trees.head(version, user).sha for user in (creator, moderator, stranger, None)}
    assert len(heads) == 1
    assert heads.isdisjoint({first.sha, closed.sha})
    assert Commit.objects.get(sha=heads.pop()).parent == closed


def test_readers_at_the_same_moment_get_the_same_commit(live_hub: Any, creator: User) -> None:
    version = published_version(published_entry(creator, slug="lantern"))
    published_file(creator, weights(), version=version)
    found: list[str] = []

    def read() -> None:
        found.append(trees.head(fresh(version), None).sha)
        connections.close_all()

    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert Commit.objects.count() == 1


def test_the_first_file_is_the_one_that_a_download_without_wishes_gives(file: File, creator: User) -> None:
    version = file.version
    Blob.objects.filter(pk=file.blob_id).update(detected={"precision": "fp32"})
    pickle = published_file(creator, b"pickle", "a.ckpt", version=version, blob_container="torch-zip")
    for number, (name, recipe, precision) in enumerate(
        [
            ("lantern-fp16.safetensors", {"keep": "all", "precision": "fp16"}, "fp16"),
            ("lantern-pruned-fp16.safetensors", {"keep": "weights", "precision": "fp16"}, "fp16"),
            ("lantern-ema-fp16.safetensors", {"keep": "ema", "precision": "fp16"}, "fp16"),
            ("lantern-pruned-bf16.safetensors", {"keep": "weights", "precision": "bf16", "overflow": 3}, "bf16"),
        ]
    ):
        data = weights(10.0 + number)
        published_file(
            creator, data, name, version=version, source=file, role="derived", recipe=recipe, blob_detected={"precision": precision}
        )
        served = rows.read_files(queries.downloadable_files().filter(version=version))
        chosen = choosing.primary(served)
        assert chosen is not None
        ordered = repopaths.ordered(File.objects.filter(version=version).select_related("blob"))
        assert ordered[0].pk == chosen.id
    assert ordered[-1] == pickle


def test_variants_are_named_as_loaders_look_for_them(call: Call, file: File, creator: User) -> None:
    for name, recipe in (
        ("lantern-fp16.safetensors", {"keep": "all", "precision": "fp16"}),
        ("lantern-pruned-fp16.safetensors", {"keep": "weights", "precision": "fp16"}),
        ("lantern-ema.safetensors", {"keep": "ema", "precision": "keep"}),
    ):
        published_file(creator, name.encode(), name, version=file.version, source=file, role="derived", recipe=recipe)
    found = [row["rfilename"] for row in call("/api/models/ada/lantern").json()["siblings"] if row["rfilename"].startswith("lantern")]
    assert sorted(found) == [
        "lantern.ema.safetensors",
        "lantern.fp16.safetensors",
        "lantern.pruned.fp16.safetensors",
        "lantern.safetensors",
    ]


def test_no_two_files_share_a_path(file: File, creator: User) -> None:
    published_file(creator, b"one", "lantern.fp16.safetensors", version=file.version)
    recipe = {"keep": "all", "precision": "fp16"}
    published_file(creator, b"two", "lantern-fp16.safetensors", version=file.version, source=file, role="derived", recipe=recipe)
    placed = repopaths.assign(File.objects.filter(version=file.version).select_related("source"))
    assert set(placed.values()) == {"lantern.safetensors", "lantern.fp16.safetensors", "lantern-fp16.safetensors"}


def test_revisions(call: Call, file: File, creator: User) -> None:
    version = file.version
    second = VersionFactory(entry=version.entry, name="v2", position=5)
    catalog.publish(published_file(creator, weights(2.0), "two.safetensors", version=second).version)
    head = trees.head(fresh(version), None)
    CommitTag.objects.create(entry=version.entry, name="stable", commit=head)
    for revision in ("main", "v1", str(version.pk), head.sha, "stable", "refs/heads/main", "refs/heads/v1", "refs/tags/stable"):
        assert call(f"/api/models/ada/lantern/revision/{revision}").json()["sha"] == head.sha
    assert call("/api/models/ada/lantern/revision/v2").json()["sha"] != head.sha
    for revision in ("v3", "999999", "0" * 40, "refs/pr/1", "refs/convert/parquet", "refs/heads/stable", head.sha[:12], "%00"):
        assert call(f"/api/models/ada/lantern/revision/{revision}").status_code == 404


def test_main_of_drafts_alone_is_the_one_that_was_there_first(people: dict[str, Call], creator: User) -> None:
    entry = VersionFactory(entry__owner=creator, entry__slug="lantern").entry
    published_file(creator, weights(), "one.safetensors", version=entry.versions.get())
    published_file(creator, weights(2.0), "two.safetensors", version=VersionFactory(entry=entry, name="v2"))
    answer = people["owner"]("/api/models/ada/lantern").content.decode()
    assert ("one.safetensors" in answer, "two.safetensors" in answer) == (True, False)


def test_rows_of_one_path_are_refused(version: Version) -> None:
    row = commits.text_row("a.txt", b"one")
    with pytest.raises(ValueError, match="same path"):
        commits.freeze(version, [row, row], title="Twice", parent=None)
    with pytest.raises(ValueError, match="other bytes"):
        commits.freeze(version, [row], {"a.txt": b"two"}, title="Else", parent=None)


def test_a_commit_follows_the_newest_or_fails(version: Version) -> None:
    first = commits.freeze(version, [], {"a.txt": b"one"}, title="One", parent=None)
    with pytest.raises(commits.ParentMoved):
        commits.freeze(version, [], {"a.txt": b"two"}, title="Two", parent=None)
    second = commits.freeze(version, [], {"a.txt": b"one"}, title="One", parent=first)
    assert second.sha != first.sha


def test_oids_are_gits() -> None:
    assert commits.git_blob_oid(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
    pointer = commits.lfs_pointer("a" * 64, 12345)
    assert pointer == b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
