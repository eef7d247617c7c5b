"""Tidying gives back what nothing needs, keeps what anything needs, and leaves tombstones their hashes."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from registry import catalog, cleanup, storage, uploads
from registry.models import Blob, Upload
from tests import tiny
from tests.factories import VersionFactory
from tests.intake import drain, put_parts, upload_path

pytestmark = pytest.mark.django_db(transaction=True)


def aged(hours: float) -> None:
    Blob.objects.update(created_at=timezone.now() - timedelta(hours=hours))


def bytes_of(blob: Blob) -> Path:
    return storage.path_of("models", storage.blob_name(blob.sha256))


def test_bytes_of_a_deleted_draft_go_and_those_of_others_stay(creator: Any, tmp_path: Path) -> None:
    draft, kept = (VersionFactory(entry__owner=creator) for _ in range(2))
    first = upload_path(draft, creator, tiny.embedding_pt(tmp_path / "a.pt", width=8))
    second = upload_path(kept, creator, tiny.lora_safetensors(tmp_path / "b.safetensors"))
    drain()
    first.refresh_from_db()
    second.refresh_from_db()
    gone, stays = bytes_of(first.blob), bytes_of(second.blob)
    catalog.delete_version(draft)
    assert cleanup.collect()["forgotten"] == 0, "too young"
    aged(2)
    assert cleanup.collect()["forgotten"] == 2  # the pickle and its twin
    assert (gone.exists(), stays.exists()) == (False, True)


def test_a_tombstone_keeps_its_hashes_when_its_bytes_go(creator: Any, tmp_path: Path) -> None:
    version = VersionFactory(entry__owner=creator)
    file = upload_path(version, creator, tiny.lora_safetensors(tmp_path / "b.safetensors"))
    drain()
    catalog.publish(version)
    catalog.delete_version(version)
    aged(24 * 40)
    assert cleanup.collect()["emptied"] == 0, "deleted only now"
    type(version).objects.update(deleted_at=timezone.now() - timedelta(days=31))
    assert cleanup.collect()["emptied"] == 1
    file.refresh_from_db()
    assert (file.blob.stored, bytes_of(file.blob).exists(), file.downloadable) == (False, False, False)
    assert file.blob.hash_values()["SHA256"]


def test_deleting_a_version_drops_what_its_uploads_have_staged(creator: Any) -> None:
    version = VersionFactory(entry__owner=creator)
    upload = uploads.begin(version, creator, "a.ckpt", 1000)
    put_parts(upload, b"x" * 1000)
    folder = storage.staged_path(upload.staging_name).parent
    assert folder.exists()
    catalog.delete_version(version)
    assert not (folder / "data").exists()
    assert not Upload.objects.exists()


def test_staging_without_its_upload_goes_after_an_hour(creator: Any) -> None:
    upload = uploads.begin(VersionFactory(entry__owner=creator), creator, "a.ckpt", 1000)
    folder = storage.staged_path(upload.staging_name).parent
    lost = folder.with_name("0" * 32 + "-lost")
    lost.mkdir()
    for path in (folder, lost):
        os.utime(path, (0, 0))
    assert cleanup.collect()["staging"] == 1
    assert (folder.exists(), lost.exists()) == (True, False)
