"""Large files of pushes: they arrive without a name, wait for the commit that gives them one, and are linked only by who may read them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from io import BytesIO
from typing import Any

from django.utils import timezone

from registry import deposit, uploads
from registry.lifecycle import FileState
from registry.models import Commit, Entry, File, SmallFile, Upload, User, Version
from tests.hub.api.huggingface.conftest import REPO, weights
from tests.hub.api.huggingface.pushes import CREATE, Send, arrive, batch, commit, large, sender, text
from tests.hub.published import published_file
from tests.intake import drain

DATA = weights(3.0)
SHA = hashlib.sha256(DATA).hexdigest()


def test_bytes_that_arrived_wait_for_the_commit_that_names_them(send: Send, entry: Entry) -> None:
    upload = arrive(send, DATA)
    upload.file.refresh_from_db()
    assert (upload.file.state, upload.file.name) == (FileState.UPLOADING, f"{SHA}.incoming")
    assert send("POST", "/_lfs/verify", {"oid": SHA, "size": len(DATA)}).status_code == 200
    assert "actions" not in batch(send, DATA).json()["objects"][0]
    assert commit(send, large("vae/model.safetensors", DATA)).status_code == 200
    file = File.objects.get()
    assert (file.state, file.name, file.path) == (FileState.QUEUED, "vae.model.safetensors", "vae/model.safetensors")
    drain()
    file.refresh_from_db()
    assert (file.state, file.sha256) == (FileState.READY, SHA)
    assert send("POST", "/_lfs/verify", {"oid": SHA, "size": len(DATA)}).status_code == 200


def test_bytes_that_no_commit_names_are_given_up_after_a_day(send: Send, entry: Entry) -> None:
    upload = arrive(send, DATA)
    Upload.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert uploads.expire() == 1
    upload.file.refresh_from_db()
    assert upload.file.state == FileState.FAILED
    assert commit(send, large("a.safetensors", DATA)).status_code == 400


def test_what_never_arrived_cannot_be_committed(send: Send, entry: Entry) -> None:
    batch(send, DATA)
    answer = commit(send, large("a.safetensors", DATA), text("README.md", b"# Lantern\n"))
    assert (answer.status_code, "not arrived" in answer.json()["error"]) == (400, True)
    assert not Commit.objects.exists()
    assert not SmallFile.objects.exists()


def test_nobodys_private_bytes_can_be_linked_by_their_digest(send: Send, entry: Entry, stranger: User) -> None:
    arrive(send, DATA)
    commit(send, large("a.safetensors", DATA))
    drain()
    eve = sender(stranger)
    eve("POST", CREATE, {"name": "mine"})
    [told] = batch(eve, DATA, repo="eve/mine").json()["objects"]
    assert "actions" in told
    assert eve("POST", "/_lfs/verify", {"oid": SHA, "size": len(DATA)}).status_code == 404
    assert commit(eve, large("a.safetensors", DATA), repo="eve/mine").status_code == 400
    assert not File.objects.filter(version__entry__owner=stranger).exclude(state=FileState.UPLOADING).exists()


def test_another_users_arrived_bytes_are_not_mine_to_commit(send: Send, entry: Entry, stranger: User) -> None:
    arrive(send, DATA)
    eve = sender(stranger)
    eve("POST", CREATE, {"name": "mine"})
    assert commit(eve, large("a.safetensors", DATA), repo="eve/mine").status_code == 400


def test_published_bytes_are_linked_without_being_sent(send: Send, entry: Entry, stranger: User) -> None:
    published_file(stranger, DATA)
    assert "actions" not in batch(send, DATA).json()["objects"][0]
    assert commit(send, large("a.safetensors", DATA)).status_code == 200
    drain()
    assert File.objects.get(version__entry=entry).state == FileState.READY


def test_a_digest_that_the_bytes_do_not_have_fails_the_file(send: Send, entry: Entry) -> None:
    batch(send, DATA)
    upload = Upload.objects.select_related("file").get()
    deposit.send_parts(upload, BytesIO(weights(4.0)))
    uploads.close(upload)
    assert commit(send, large("a.safetensors", DATA)).status_code == 200
    drain()
    assert File.objects.get().error_code == "upload:sha256-mismatch"


def test_the_signed_address_completes_its_own_upload_and_no_other(send: Send, entry: Entry) -> None:
    [told] = batch(send, DATA).json()["objects"]
    address = told["actions"]["upload"]["href"].removeprefix("http://testserver")
    anybody = sender(None)
    assert anybody("POST", address, {"oid": "0" * 64}).status_code == 400
    assert anybody("POST", address[:-1], {"oid": SHA}).status_code == 403
    missing = anybody("POST", address, {"oid": SHA, "parts": [{"partNumber": 1, "etag": '"x"'}]})
    assert (missing.status_code, "missing" in missing.json()["error"]) == (409, True)
    assert anybody("POST", address, {"oid": SHA, "parts": [{"partNumber": "1", "etag": 5}]}).status_code == 400


def test_a_batch_says_of_each_object_what_is_wrong_with_it(send: Send, entry: Entry, settings: Any) -> None:
    settings.MAX_FILE_BYTES = 10
    objects = [{"oid": "0" * 64, "size": 5}, {"oid": "1" * 64, "size": 500}, {"oid": "2" * 64, "size": 0}]
    told = send("POST", f"/{REPO}.git/info/lfs/objects/batch", {"operation": "upload", "objects": objects})
    assert told["Content-Type"] == "application/vnd.git-lfs+json"
    small, huge, empty = told.json()["objects"]
    assert set(small["actions"]["upload"]["header"]) == {"chunk_size", "1"}
    assert (huge["error"]["code"], empty["error"]["code"]) == (413, 400)
    for body in ({"operation": "download"}, {"operation": "upload", "objects": [{"oid": "x", "size": 1}]}, {"operation": "upload"}):
        assert send("POST", f"/{REPO}.git/info/lfs/objects/batch", body).status_code == 400


def test_a_replaced_file_leaves_its_version_and_its_quota_is_still_counted(send: Send, entry: Entry) -> None:
    for data in (DATA, weights(5.0)):
        arrive(send, data)
        assert commit(send, large("a.safetensors", data)).status_code == 200
        drain()
    version = Version.objects.get()
    assert [file.sha256 for file in version.files.filter(role="uploaded")] == [hashlib.sha256(weights(5.0)).hexdigest()]
    assert File.objects.filter(version=version, role="uploaded").count() == 2


def test_the_same_bytes_come_to_another_branch_without_being_sent_again(send: Send, entry: Entry) -> None:
    assert send("POST", f"/api/models/{REPO}/branch/v2", {}).status_code == 200
    arrive(send, DATA)  # announced for main
    assert commit(send, large("a.safetensors", DATA), revision="v2").status_code == 200
    assert File.objects.get().version.branch == "v2"
    drain()
    assert commit(send, large("b.safetensors", DATA)).status_code == 200


def test_the_same_bytes_at_two_places_are_linked_once_they_were_examined(send: Send, entry: Entry) -> None:
    arrive(send, DATA)
    twice = commit(send, large("a.safetensors", DATA), large("unet/b.safetensors", DATA))
    assert (twice.status_code, "same bytes" in twice.json()["error"]) == (409, True)
    assert commit(send, large("a.safetensors", DATA)).status_code == 200
    drain()
    assert commit(send, large("unet/b.safetensors", DATA)).status_code == 200
