"""Files through the API: a real file's state, hashes, scan, variants and timeline; another try and who may ask for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from inference.models import Derivative
from registry import catalog, lifecycle, storage, uploads
from registry.lifecycle import DerivativeState, FileState
from registry.models import Blob, File, Upload
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.intake import drain, put_parts, upload_bytes, upload_path
from tests.tiny import lightning_checkpoint, plain_checkpoint

Json = dict[str, Any]
HASHES = {"SHA256", "BLAKE3", "CRC32", "AutoV2"}


@pytest.fixture
def pickled(at_rest: Any, creator: Any) -> File:
    """A Lightning .ckpt with EMA weights and optimizer state, at its rest."""
    return at_rest(draft_lightning, creator)


def draft_lightning(creator: Any, folder: Path) -> File:
    file = upload_path(VersionFactory(entry__owner=creator), creator, lightning_checkpoint(folder / "dream.ckpt"))
    drain()
    return file


def test_a_real_checkpoint_shows_its_whole_life(api: APIClient, pickled: File) -> None:
    seen = api.get(f"/api/hub/files/{pickled.pk}").json()
    assert (seen["state"], seen["verdict"], seen["name"], seen["error"]) == ("ready", "success", "dream.ckpt", "")
    assert set(seen["hashes"]) >= HASHES
    assert seen["hashes"]["SHA256"] == seen["sha256"].upper()
    assert seen["detected"]["base_model"].startswith("SD 1")
    assert seen["download_url"].endswith(f"/api/download/models/{pickled.version_id}?fileId={pickled.pk}")
    steps = [(step["step"], step["outcome"]) for step in seen["timeline"]]
    assert [name for name, _ in steps][:3] == ["received", "hash", "scan"]
    assert {outcome for _, outcome in steps} == {"done"}
    assert all(step["seconds"] is not None for step in seen["timeline"])
    made = seen["derivatives"]
    assert {one["state"] for one in made} == {"made"}
    assert all(one["file_state"] == "ready" and one["download_url"] and one["sha256"] for one in made)
    assert {(one["recipe"]["keep"], one["recipe"]["precision"]) for one in made} >= {("weights", "fp16"), ("ema", "fp16")}


def test_a_derived_file_names_its_source(api: APIClient, pickled: File) -> None:
    derived = api.get(f"/api/hub/files/{pickled.pk}").json()["derivatives"][0]
    seen = api.get(f"/api/hub/files/{derived['file_id']}").json()
    assert (seen["role"], seen["source_id"], seen["container"]) == ("derived", pickled.pk, "safetensors")


def test_the_scan_is_the_newest_report(api: APIClient, pickled: File) -> None:
    scan = api.get(f"/api/hub/files/{pickled.pk}/scan").json()
    assert (scan["verdict"], scan["file_id"]) == ("success", pickled.pk)
    assert scan["report"]["verdict"] == "success"
    assert scan["scanned_at"]


def test_a_file_that_was_not_scanned_says_so(api: APIClient, creator: Any) -> None:
    file = upload_bytes(VersionFactory(entry__owner=creator), creator, "a.ckpt", b"not yet")
    scan = api.get(f"/api/hub/files/{file.pk}/scan").json()
    assert (scan["verdict"], scan["report"]) == ("pending", None)
    assert "not been scanned" in scan["headline"]


def test_a_file_in_a_published_version_is_seen_but_its_failures_are_not(other: APIClient, creator: Any) -> None:
    version = VersionFactory(entry=EntryFactory(owner=creator))
    ready, failed = FileFactory(version=version), FileFactory(version=version, state="failed", error="private trouble")
    catalog.publish(version)
    assert other.get(f"/api/hub/files/{ready.pk}").status_code == 200
    missing = other.get("/api/hub/files/999999999")
    for address in (f"/api/hub/files/{failed.pk}", f"/api/hub/files/{failed.pk}/scan"):
        assert (other.get(address).status_code, other.get(address).content) == (404, missing.content)
    assert [file["id"] for file in other.get(f"/api/hub/versions/{version.pk}").json()["files"]] == [ready.pk]


def test_a_private_file_is_like_a_missing_one(other: APIClient, anonymous: APIClient, pickled: File) -> None:
    for client in (other, anonymous):
        for path in ("", "/scan"):
            secret, missing = client.get(f"/api/hub/files/{pickled.pk}{path}"), client.get(f"/api/hub/files/999999999{path}")
            assert (secret.status_code, secret.content) == (404, missing.content)
    assert other.post(f"/api/hub/files/{pickled.pk}/retry").status_code == 404


# --- another try ------------------------------------------------------------------------------------------------------------


def test_a_failed_file_whose_bytes_are_here_is_queued_again(api: APIClient, creator: Any, tmp_path: Path) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, plain_checkpoint(tmp_path / "a.safetensors"))
    lifecycle.advance(file, FileState.SCANNING)
    lifecycle.fail(file, "work:trouble", "Trouble of ours.")
    answer = api.post(f"/api/hub/files/{file.pk}/retry")
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["error"], answer.json()["queue_place"]) == ("queued", "", 1)
    drain()
    assert api.get(f"/api/hub/files/{file.pk}").json()["state"] == "ready"


@pytest.mark.parametrize("lost", ["cancelled", "blob", "staging"])
def test_a_failed_file_without_bytes_is_told_to_come_again(api: APIClient, creator: Any, lost: str) -> None:
    version = VersionFactory(entry__owner=creator)
    if lost == "blob":
        file = FileFactory(version=version, state="failed", blob=BlobFactory(stored=False))
    else:
        upload = uploads.begin(version, creator, "a.ckpt", 7)
        assert isinstance(upload, Upload)
        file = upload.file
        if lost == "cancelled":
            uploads.cancel(upload)
        else:
            put_parts(upload, b"content")
            file = uploads.complete(upload)
            storage.drop_staged(upload.staging_name)
            lifecycle.advance(file, FileState.SCANNING)
            lifecycle.fail(file, "x", "y")
    answer = api.post(f"/api/hub/files/{file.pk}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "retry:no-bytes")
    assert "Upload it again" in answer.json()["error"]


def test_a_retry_gives_way_to_a_newer_file_of_the_same_name(api: APIClient, creator: Any) -> None:
    version = VersionFactory(entry__owner=creator)
    old = upload_bytes(version, creator, "a.ckpt", b"the first try")
    lifecycle.advance(old, FileState.SCANNING)
    lifecycle.fail(old, "x", "y")
    upload_bytes(version, creator, "a.ckpt", b"the second try")
    answer = api.post(f"/api/hub/files/{old.pk}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "upload:name-taken")
    old.refresh_from_db()
    assert old.state == "failed"


def test_only_a_moderator_has_a_quarantined_file_judged_again(api: APIClient, judge: APIClient, other: APIClient, creator: Any) -> None:
    version = VersionFactory(entry__owner=creator)
    FileFactory(version=version)
    file = FileFactory(version=version, state="quarantined", blob=BlobFactory(verdict="danger", sealed=True))
    catalog.publish(version)
    refused = api.post(f"/api/hub/files/{file.pk}/retry")
    assert (refused.status_code, refused.json()["code"]) == (403, "retry:moderators")
    assert other.post(f"/api/hub/files/{file.pk}/retry").status_code == 403
    assert judge.post(f"/api/hub/files/{file.pk}/retry").json()["state"] == "queued"


def test_a_retry_of_a_good_file_takes_its_failed_variants(api: APIClient, pickled: File) -> None:
    derivative = Derivative.objects.filter(source=pickled).first()
    assert derivative is not None
    Derivative.objects.filter(pk=derivative.pk).update(state=DerivativeState.FAILED, error="No room.", error_code="x", result=None)
    answer = api.post(f"/api/hub/files/{pickled.pk}/retry")
    assert answer.status_code == 200
    derivative.refresh_from_db()
    assert (derivative.state, derivative.error, derivative.attempts) == ("wanted", "", 0)


def test_a_good_file_has_nothing_to_try_again(api: APIClient, pickled: File) -> None:
    answer = api.post(f"/api/hub/files/{pickled.pk}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "retry:nothing")


def test_a_file_is_read_in_a_bounded_number_of_queries(api: APIClient, pickled: File, django_assert_max_num_queries: Any) -> None:
    assert Blob.objects.count() > 2
    with django_assert_max_num_queries(12):
        api.get(f"/api/hub/files/{pickled.pk}")
