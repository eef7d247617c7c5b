"""Tidying gives back what nothing needs, keeps what anything needs, and leaves tombstones their hashes."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from registry import catalog, cleanup, storage, uploads
from registry.models import Blob, Upload
from tests import tiny
from tests.factories import FileFactory, VersionFactory
from tests.intake import drain, put_parts, upload_path
from tests.processes import start_python, wait_until

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
    version = VersionFactory(entry__owner=creator, entry__kind="lora")
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


LEAVES_WORK = """
import os
from registry import storage
with storage.scratch_file() as path:
    path.write_bytes(b"8 GB of a model")
    print(path.parent, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_worker_left_goes_at_once_and_what_is_worked_on_stays(creator: Any, tmp_path: Path, settings: Any) -> None:
    worker = start_python(LEAVES_WORK, tmp_path)
    output = worker.communicate(timeout=60)[0]
    left = Path(output.split()[-1])
    assert left.exists(), output
    settings.SCRATCH = left.parent
    with storage.scratch_file() as path:
        path.write_bytes(b"being written")
        assert cleanup.collect()["scratch"] == 0, "too young to tell"
        for folder in (left, path.parent):
            os.utime(folder, (0, 0))
        assert cleanup.collect()["scratch"] == 1
        assert (left.exists(), path.exists()) == (False, True)


FORGET = """
import pathlib, time
from registry import cleanup, storage
from registry.models import Blob
real = Blob.objects.select_for_update
def late(*args, **more):
    pathlib.Path({mark!r}).touch()
    while not pathlib.Path({go!r}).exists():
        time.sleep(0.001)
    return real(*args, **more)
Blob.objects.select_for_update = late
print("forgot", cleanup.collect()["forgotten"])
"""


def test_bytes_that_a_file_comes_to_need_while_they_are_forgotten_stay(creator: Any, tmp_path: Path) -> None:
    """A merge that was cancelled leaves an orphan; the same merge, made again an hour later, gives the same bytes."""
    data = b"made twice"
    path = tmp_path / "storage" / "models" / storage.blob_name(hashlib.sha256(data).hexdigest())
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    blob = Blob.objects.create(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), stored=True)
    aged(2)
    mark, go = tmp_path / "mark", tmp_path / "go"
    collector = start_python(FORGET.format(mark=str(mark), go=str(go)), tmp_path)
    wait_until(mark.exists, 60)
    FileFactory(blob=blob, version=VersionFactory(entry__owner=creator))
    go.touch()
    assert "forgot 0" in collector.communicate(timeout=60)[0]
    assert path.read_bytes() == data
