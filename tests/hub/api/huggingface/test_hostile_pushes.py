"""Requests that are made to cost much, or to reach what the protocol does not mean: each ends soon, with a refusal."""

from __future__ import annotations

import hashlib
import time

import pytest
from django.utils import timezone

from hub.api.huggingface import operations, shapes
from hub.api.huggingface.answers import RevisionNotFound
from hub.api.huggingface.committing import version_to_write
from hub.api.huggingface.operations import Header, Operation
from hub.api.huggingface.pushing import push
from registry import catalog
from registry.models import Commit, Entry, File, Upload, User, Version
from tests.hub.api.huggingface.conftest import REPO, caller, weights
from tests.hub.api.huggingface.pushes import Send, arrive, batch, commit, large, line, sender, text
from tests.hub.published import published_file

DATA = weights(6.0)
SHA = hashlib.sha256(DATA).hexdigest()


def test_a_commit_of_nothing_but_line_ends_is_not_counted_to_its_end(send: Send, entry: Entry) -> None:
    started = time.process_time()
    answer = send("POST", f"/api/models/{REPO}/commit/main", line("header", summary="s").encode() + b"\n" * (40 * 2**20))
    assert (answer.status_code, "operations" in answer.json()["error"]) == (413, True)
    assert time.process_time() - started < 2


def test_more_large_files_than_a_commit_may_have_are_refused_before_the_first_is_placed(
    send: Send, entry: Entry, creator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_file(creator, DATA)
    monkeypatch.setattr(operations, "MAX_LARGE", 3)
    answer = commit(send, *[large(f"{number}.safetensors", DATA) for number in range(4)])
    assert (answer.status_code, "3 large files" in answer.json()["error"]) == (413, True)
    assert not File.objects.filter(version__entry=entry).exists()
    assert commit(send, *[large(f"{number}.safetensors", DATA) for number in range(3)]).status_code == 200


def test_an_object_that_a_batch_names_often_is_answered_once(send: Send, entry: Entry) -> None:
    told = batch(send, *[DATA] * 100, weights(7.0)).json()["objects"]
    assert [row["oid"] for row in told] == [SHA, hashlib.sha256(weights(7.0)).hexdigest()]
    assert Upload.objects.count() == 2
    assert batch(send, *[DATA] * 257).status_code == 400


def test_a_tree_of_many_deep_folders_is_listed_in_one_pass() -> None:
    rows = [{"path": f"{'/'.join(f'd{number}_{depth}' for depth in range(7))}/f.txt", "oid": "a" * 40, "size": 1} for number in range(2000)]
    started = time.process_time()
    found = list(shapes.tree_level(rows, "", recursive=True))
    assert (len(found), time.process_time() - started < 1) == (16_000, True)
    assert [row["path"] for row in found[:3]] == ["d0_0", "d0_0/d0_1", "d0_0/d0_1/d0_2"]
    assert [row["path"] for row in shapes.tree_level(rows[:1], "d0_0", recursive=False) if "type" in row] == ["d0_0/d0_1"]


@pytest.mark.parametrize("query", ["filter=%00", "filter=a&filter=b,%00", "author=a%00"])
def test_a_question_with_a_null_byte_finds_nothing(db: None, query: str) -> None:
    assert caller(None)(f"/api/models?{query}").json() == []


def test_the_own_api_does_not_complete_what_a_push_has_yet_to_name(send: Send, entry: Entry) -> None:
    upload = arrive(send, DATA)
    answer = send("POST", f"/api/hub/uploads/{upload.pk}/complete", {})
    assert (answer.status_code, "commit that names them" in answer.content.decode()) == (409, True)
    upload.file.refresh_from_db()
    assert upload.file.state == "uploading"
    assert commit(send, large("a.safetensors", DATA)).status_code == 200


@pytest.mark.parametrize("gone", ["deleted", "tombstone", "withdrawn"])
def test_a_push_to_what_was_deleted_since_it_began_changes_nothing(send: Send, entry: Entry, creator: User, gone: str) -> None:
    commit(send, text("a.txt", b"x"))
    version = version_to_write(entry, creator, "main", make=False)
    assert version is not None
    if gone == "deleted":
        catalog.delete_version(Version.objects.get())
    elif gone == "tombstone":
        Entry.objects.update(deleted_at=timezone.now())
    else:
        Version.objects.update(status="withdrawn")
    with pytest.raises(RevisionNotFound):
        push(version, creator, Header("s", "", ""), [Operation("file", "b.txt", content=b"y")])
    assert not any(row["path"] == "b.txt" for kept in Commit.objects.all() for row in kept.tree)


def test_a_name_is_found_however_its_accents_are_written(send: Send, entry: Entry, creator: User) -> None:
    assert commit(send, text("notes/cafe\u0301.txt", b"x")).status_code == 200
    ada = caller(creator)
    for path in ("notes/caf%C3%A9.txt", "notes/cafe%CC%81.txt"):
        assert ada(f"/{REPO}/resolve/main/{path}").content == b"x"


def test_a_text_is_shown_under_its_own_name(send: Send, entry: Entry, creator: User) -> None:
    commit(send, text("attachment.json", b"{}"))
    assert caller(creator)(f"/{REPO}/resolve/main/attachment.json")["Content-Disposition"].startswith('inline; filename="attachment.json"')


def test_main_of_a_new_repository_answers_what_no_tree_is_needed_for(send: Send, entry: Entry, creator: User, stranger: User) -> None:
    """huggingface_hub 0.30 asks `expand=xetEnabled` of main before it sends the first file."""
    address = f"/api/models/{REPO}/revision/main"
    assert caller(creator)(f"{address}?expand=xetEnabled").json()["id"] == REPO
    for question in (address, f"{address}?expand=sha", f"/api/models/{REPO}/revision/v9?expand=xetEnabled"):
        assert caller(creator)(question)["X-Error-Code"] == "RevisionNotFound"
    assert caller(stranger)(f"{address}?expand=xetEnabled")["X-Error-Code"] == "RepoNotFound"
    assert sender(None)("GET", f"{address}?expand=xetEnabled").status_code == 401
