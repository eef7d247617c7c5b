"""Pushes request by request: who may, what is refused with which words, and what a commit does; large files are next door."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from registry import catalog
from registry.lifecycle import FileState
from registry.models import Commit, Entry, File, SmallFile, User, Version
from tests.hub.api.huggingface.conftest import REPO, weights
from tests.hub.api.huggingface.pushes import CREATE, Send, arrive, batch, commit, large, line, sender, text
from tests.hub.published import published_entry, published_file, published_version
from tests.intake import drain

DATA = weights(3.0)
SHA = hashlib.sha256(DATA).hexdigest()


WRITES = [
    ("POST", CREATE),
    ("DELETE", "/api/repos/delete"),
    ("POST", "/api/repos/move"),
    ("PUT", f"/api/models/{REPO}/settings"),
    ("POST", f"/api/models/{REPO}/branch/v2"),
    ("DELETE", f"/api/models/{REPO}/branch/v1"),
    ("POST", f"/api/models/{REPO}/tag/main"),
    ("DELETE", f"/api/models/{REPO}/tag/first"),
    ("POST", f"/api/models/{REPO}/preupload/main"),
    ("POST", f"/api/models/{REPO}/commit/main"),
    ("POST", f"/{REPO}.git/info/lfs/objects/batch"),
    ("POST", "/_lfs/verify"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writing_needs_a_token_that_may_write(entry: Entry, creator: User, method: str, path: str) -> None:
    nobody, reader = sender(None)(method, path, {}), sender(creator, "read")(method, path, {})
    assert (nobody.status_code, reader.status_code) == (401, 403)
    assert "scope write" in reader.json()["error"]


@pytest.mark.parametrize(("method", "path"), [row for row in WRITES if REPO in row[1]])
def test_a_private_repository_is_missing_to_others_and_a_public_one_is_not_theirs(
    entry: Entry, creator: User, stranger: User, method: str, path: str
) -> None:
    eve = sender(stranger)
    assert (eve(method, path, {}).status_code, eve(method, path, {})["X-Error-Code"]) == (404, "RepoNotFound")
    published_file(creator, DATA, version=published_version(entry))
    Entry.objects.update(published_at=timezone.now(), live=True)
    assert eve(method, path, {}).status_code == 403


def test_a_repository_is_made_once(send: Send, entry: Entry) -> None:
    again = send("POST", CREATE, {"name": "lantern", "visibility": "private"})
    assert (again.status_code, again.json()["url"]) == (409, "http://testserver/ada/lantern")
    assert (entry.slug, entry.kind, entry.visibility, entry.by_push) == ("lantern", "other", "public", True)


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"name": "x", "organization": "eve"}, 403, "own name"),
        ({"name": "x", "type": "dataset"}, 400, "no datasets"),
        ({"name": "Lantern"}, 400, "is there as lantern"),
        ({"name": "a--b"}, 400, "letters"),
        ({"name": "a..b"}, 400, "letters"),
        ({"name": ".a"}, 400, "letters"),
        ({"name": "a.git"}, 400, "letters"),
        ({"name": "a/b"}, 400, "letters"),
        ({"name": "x" * 81}, 400, "letters"),
        ({"name": "x", "visibility": "protected"}, 400, "private or public"),
        ({"name": 5}, 400, "name must be"),
        ({}, 400, "name must be"),
    ],
)
def test_a_repository_that_cannot_be_made_says_why(send: Send, entry: Entry, fields: dict[str, Any], status: int, word: str) -> None:
    answer = send("POST", CREATE, fields)
    assert (answer.status_code, word in answer.json()["error"]) == (status, True)
    assert word.encode() in answer["X-Error-Message"].encode()


def test_a_push_makes_the_first_draft_and_its_commit_is_the_head(send: Send, entry: Entry) -> None:
    answer = commit(send, text("README.md", b"# Lantern\n"), description="more words")
    told = answer.json()
    assert told["commitUrl"] == f"http://testserver/{REPO}/commit/{told['commitOid']}"
    version = Version.objects.get()
    assert (version.name, version.branch, version.status, version.base_model) == ("v1", "v1", "draft", "")
    kept = Commit.objects.get(sha=told["commitOid"])
    assert (kept.title, kept.message, kept.author, kept.open) == ("A push", "more words", entry.owner, True)
    assert [row["path"] for row in kept.tree] == ["README.md"]
    assert answer["X-HF-Warning"] == (
        f"draft; v1 is a draft that only you see. When its files have been examined, publish it at http://testserver/{REPO}/v/{version.pk}"
    )


@pytest.mark.parametrize(
    ("lines", "status", "word"),
    [
        ([], 400, "at least one"),
        ([text("../a.txt", b"x")], 400, "plain names"),
        ([text("run.py", b"x")], 400, "does not keep"),
        ([text("a.safetensors", DATA)], 400, "large file"),
        ([line("lfsFile", path="README.md", oid=SHA, size=5)], 400, "inside the commit"),
        ([line("lfsFile", path="a.ckpt", oid="x", size=5)], 400, "SHA-256"),
        ([line("lfsFile", path="a.ckpt", oid=SHA, size=-5)], 400, "number of bytes"),
        ([line("file", path="a.txt", content="!", encoding="base64")], 400, "not base64"),
        ([line("file", path="a.txt", content=5)], 400, "must be a text"),
        ([line("copyFile", path="a.txt")], 400, "no operation"),
        ([line("deletedFile", path="a.txt")], 404, "doesn't exist"),
        ([line("deletedFolder", path="unet/")], 404, "doesn't exist"),
        ([text("a.txt", b"x"), text("a.txt", b"y")], 400, "named twice"),
        ([text("a.txt", b"x"), text("A.txt", b"y")], 400, "one file on systems"),
        ([text("a.txt", b"x"), text("a.txt/b.txt", b"y")], 400, "cannot lie in it"),
        ([text("a.json", b"cos\nsystem\n(S'true'\ntR.")], 400, "not JSON"),
        (["{nonsense"], 400, "not JSON"),
        (['{"key": "file", "value": 5}'], 400, "must be"),
        ([text("big.txt", b"x" * (4 * 2**20 + 1))], 400, "may have 4,194,304"),
    ],
)
def test_a_commit_that_is_wrong_changes_nothing_and_says_why(send: Send, entry: Entry, lines: list[str], status: int, word: str) -> None:
    answer = commit(send, *lines)
    assert (answer.status_code, word in answer.json()["error"]) == (status, True), answer.json()
    assert not Commit.objects.filter(author__isnull=False).exists()
    assert not SmallFile.objects.filter(content=b"x").exists()


def test_parents_that_are_none_are_refused(send: Send, entry: Entry) -> None:
    assert commit(send, text("a.txt", b"x"), parentCommit="abc").status_code == 400
    assert commit(send, text("a.txt", b"x"), parentCommit="0" * 40).status_code == 412
    assert commit(send, text("a.txt", b"x"), revision="0" * 40)["X-Error-Code"] == "RevisionNotFound"
    first = commit(send, text("a.txt", b"x")).json()["commitOid"]
    assert "never changes" in commit(send, text("a.txt", b"y"), revision=first).json()["error"]


def test_no_pull_requests(send: Send, entry: Entry) -> None:
    answer = send("POST", f"/api/models/{REPO}/commit/main?create_pr=1", text("a.txt", b"x"))
    assert (answer.status_code, "no pull requests" in answer.json()["error"]) == (400, True)


def test_a_commit_sent_twice_is_one(send: Send, entry: Entry) -> None:
    base = commit(send, text("a.txt", b"x"), text("sub/b.txt", b"y")).json()["commitOid"]
    one = commit(send, line("deletedFolder", path="sub"), text("c.txt", b"z"), parentCommit=base).json()["commitOid"]
    assert commit(send, line("deletedFolder", path="sub"), text("c.txt", b"z"), parentCommit=base).json()["commitOid"] == one
    assert Commit.objects.filter(author__isnull=False).count() == 2


def test_what_the_hub_wrote_is_not_deleted_and_the_client_is_told(send: Send, entry: Entry) -> None:
    arrive(send, DATA)
    commit(send, large("a.safetensors", DATA))
    drain()
    answer = commit(send, line("deletedFile", path="README.md"))
    assert (answer.status_code, "written by the hub" in answer["X-HF-Warning"]) == (200, True)


def test_a_new_branch_leaves_main_where_it_is(send: Send, entry: Entry) -> None:
    commit(send, text("a.txt", b"x"))
    send("POST", f"/api/models/{REPO}/branch/v2", {})
    commit(send, text("b.txt", b"x"))
    commit(send, text("c.txt", b"x"), revision="v2")
    trees = {version.branch: [row["path"] for row in version.commits.first().tree] for version in Version.objects.all()}
    assert ({"a.txt", "b.txt"} <= set(trees["v1"]), "c.txt" in trees["v2"], "b.txt" in trees["v2"]) == (True, True, False)


@pytest.mark.parametrize("branch", ["refs%2Fheads%2Fx", "12", "0" * 40, "a%20b", "-a", "x" * 61])
def test_a_branch_that_cannot_be_says_what_would_do(send: Send, entry: Entry, branch: str) -> None:
    answer = send("POST", f"/api/models/{REPO}/branch/{branch}", {})
    assert (answer.status_code, "would do" in answer.json()["error"]) == (400, True)


def test_branches_and_tags_exist_once(send: Send, entry: Entry) -> None:
    commit(send, text("a.txt", b"x"))
    assert send("POST", f"/api/models/{REPO}/branch/main", {}).status_code == 409
    assert send("POST", f"/api/models/{REPO}/branch/v1", {}).status_code == 409
    assert send("POST", f"/api/models/{REPO}/branch/v2", {"startingPoint": "nowhere"})["X-Error-Code"] == "RevisionNotFound"
    assert [send("POST", f"/api/models/{REPO}/tag/main", {"tag": "1.0"}).status_code for _ in range(2)] == [200, 409]
    assert send("POST", f"/api/models/{REPO}/tag/main", {"tag": "v1"}).status_code == 409
    assert send("POST", f"/api/models/{REPO}/tag/main", {"tag": "12"}).status_code == 400
    assert send("DELETE", f"/api/models/{REPO}/tag/none").status_code == 404
    assert send("DELETE", f"/api/models/{REPO}/branch/main").status_code == 400
    assert send("DELETE", f"/api/models/{REPO}/branch/none").status_code == 404


def test_preupload_tells_the_way_and_what_is_there(send: Send, entry: Entry) -> None:
    import base64

    arrive(send, DATA)
    commit(send, large("a.safetensors", DATA), text("notes.md", b"# Notes\n"))
    files = [("a.safetensors", DATA), ("notes.md", b"# Notes\n"), ("new.json", b"{}")]
    asked = [{"path": path, "sample": base64.b64encode(data[:512]).decode(), "size": len(data)} for path, data in files]
    told = send("POST", f"/api/models/{REPO}/preupload/main", {"files": asked}).json()["files"]
    assert [(file["path"], file["uploadMode"]) for file in told] == [
        ("a.safetensors", "lfs"),
        ("notes.md", "regular"),
        ("new.json", "regular"),
    ]
    assert (told[0]["oid"], len(told[1]["oid"]), "oid" in told[2]) == (SHA, 40, False)
    for wrong in ({}, {"files": 5}, {"files": [{"path": "a.txt"}]}, {"files": [{"path": 5, "size": 1}]}):
        assert send("POST", f"/api/models/{REPO}/preupload/main", wrong).status_code == 400
    assert send("POST", f"/api/models/{REPO}/preupload/nowhere", {"files": []})["X-Error-Code"] == "RevisionNotFound"


def test_yaml_is_checked_before_it_is_committed(db: None) -> None:
    anybody = sender(None)
    assert anybody("POST", "/api/validate-yaml", {"content": "---\nlicense: mit\n---\n", "repoType": "model"}).json()["errors"] == []
    wrong = anybody("POST", "/api/validate-yaml", {"content": "---\nlicense: [mit\n---\n"})
    assert (wrong.status_code, "line" in wrong.json()["errors"][0]["message"]) == (400, True)


def test_bodies_beyond_their_limits_are_refused_unread(send: Send, entry: Entry, settings: Any) -> None:
    from hub.api.huggingface import bodies, operations

    assert send("POST", CREATE, b" " * (bodies.MAX_JSON + 1)).status_code == 413
    assert send("POST", f"/api/models/{REPO}/commit/main", b"x" * (operations.LONGEST + 2**17)).status_code == 413
    settings.PUSHED_TEXT_BYTES = 10
    assert commit(send, text("a.txt", b"x" * 11)).status_code == 413
    assert commit(send, text("a.txt", b"x" * 10)).status_code == 200
    assert commit(send, text("b.txt", b"x")).status_code == 413


def test_a_connection_goes_on_after_a_body_that_was_refused(live_hub: Any, write_token: str) -> None:
    from http.client import HTTPConnection

    headers = {"Authorization": f"Bearer {write_token}", "Content-Type": "application/x-ndjson"}
    connection = HTTPConnection("127.0.0.1", live_hub.port, timeout=30)
    for path, size, status in ((f"/api/models/{REPO}/commit/main", 60 * 2**20, 404), (CREATE, 8 * 2**20, 413)):
        connection.request("POST", path, b"x" * size, headers)
        answer = connection.getresponse()
        assert (answer.status, "error" in json.loads(answer.read())) == (status, True)
    connection.request("GET", "/api/whoami-v2", headers=headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_a_loop_of_pushes_is_slowed_down(send: Send, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.api.huggingface import writing

    monkeypatch.setattr(writing.limits, "PUSHED_CHANGES", 0)
    answer = commit(send, text("a.txt", b"x"))
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")


@pytest.mark.django_db(transaction=True)
def test_a_push_goes_through_while_broker_and_cache_are_away(
    send: Send, entry: Entry, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.cache import caches

    from hub.celery import app

    monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)  # an earlier test has opened one to the real broker
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away}
    caches._settings = caches.settings = caches.configure_settings(None)
    arrive(send, DATA)
    assert commit(send, large("a.safetensors", DATA)).status_code == 200
    file = File.objects.get()
    assert (file.state, file.send_after) == (FileState.QUEUED, None)  # no worker was told: the sweep will


def test_the_pages_of_a_push_open_for_its_creator(send: Send, entry: Entry, creator: User, client: Any) -> None:
    arrive(send, DATA)
    batch(send, weights(9.0))  # still under way
    answer = commit(send, large("unet/a.safetensors", DATA))
    client.force_login(creator)
    pages = [answer["X-HF-Warning"].rpartition("http://testserver")[2], f"/{REPO}", "/my/models", f"/upload/{Version.objects.get().pk}"]
    drain()
    assert [client.get(page).status_code for page in pages] == [200] * 4
    assert b"unet.a.safetensors" in client.get(pages[0]).content


def test_what_a_creator_declared_by_hand_is_not_taken_from_a_push(creator: User, send: Send) -> None:
    entry = published_entry(creator, name="Lantern", slug="lantern", kind="lora", description="By hand.")
    version = published_version(entry, base_model="SDXL 1.0")
    arrive(send, DATA)
    commit(send, large("a.safetensors", DATA), text("README.md", b"---\nbase_model: Pony\nlicense: mit\n---\nOther words\n"))
    drain()
    entry.refresh_from_db()
    version.refresh_from_db()
    assert (entry.kind, entry.description, entry.spdx, version.base_model) == ("lora", "By hand.", "", "SDXL 1.0")


def test_an_edit_by_hand_ends_what_pushes_describe(send: Send, entry: Entry) -> None:
    commit(send, text("README.md", b"First\n"))
    entry.refresh_from_db()
    assert entry.description == "First"
    catalog.change_entry(entry, description="Mine")
    commit(send, text("README.md", b"Second\n"))
    entry.refresh_from_db()
    assert (entry.description, entry.by_push) == ("Mine", False)


@pytest.mark.django_db(transaction=True)
def test_of_two_commits_at_once_on_one_parent_one_wins(send: Send, entry: Entry) -> None:
    base = commit(send, text("a.txt", b"x")).json()["commitOid"]
    answers: list[int] = []

    def one(number: int) -> None:
        try:
            answers.append(commit(send, text(f"{number}.txt", b"y"), parentCommit=base).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [200, 412, 412]
    assert Commit.objects.filter(author__isnull=False).count() == 2
