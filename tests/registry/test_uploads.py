"""Uploads as verbs: how a file is cut, how an upload ends, and that nobody's end takes another's bytes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from registry import lifecycle, staging, storage, uploads
from registry.models import File, Upload
from tests.factories import VersionFactory
from tests.intake import put_parts

MIB, GIB = 2**20, 2**30


def begin(creator: Any, size: int = 10) -> Upload:
    begun = uploads.begin(VersionFactory(entry__owner=creator), creator, "a.ckpt", size)
    assert isinstance(begun, Upload)
    return begun


@pytest.mark.parametrize(("size", "part"), [(1, 16 * MIB), (7 * GIB, 16 * MIB), (200 * GIB, 23 * MIB), (45 * 1024 * GIB, 5243 * MIB)])
def test_parts_grow_only_where_there_would_be_too_many(size: int, part: int) -> None:
    assert uploads.part_size_for(size) == part
    assert -(-size // part) <= uploads.MAX_PARTS


def test_the_last_part_is_the_rest(creator: Any, settings: Any) -> None:
    settings.PART_SIZE_BYTES = 5 * MIB
    upload = begin(creator, 11 * MIB)
    assert [upload.part_bytes(number) for number in range(1, upload.part_count + 1)] == [5 * MIB, 5 * MIB, MIB]


def test_a_cancel_that_comes_after_completion_keeps_the_bytes(creator: Any) -> None:
    upload = begin(creator)
    late = Upload.objects.select_related("file").get(pk=upload.pk)
    put_parts(upload, b"0123456789")
    uploads.complete(upload)
    with pytest.raises(lifecycle.LostRace):
        uploads.cancel(late)
    assert storage.staged_path(upload.staging_name).read_bytes() == b"0123456789"


def test_an_upload_that_crashed_while_completing_is_completed_by_the_next_request(creator: Any) -> None:
    upload = begin(creator)
    put_parts(upload, b"0123456789")
    staging.complete(upload)  # and then the process died
    assert uploads.complete(Upload.objects.get(pk=upload.pk)).state == "queued"


def test_what_a_crash_left_of_a_given_up_upload_is_freed_a_day_later(creator: Any, stores: Path) -> None:
    upload = begin(creator)
    lifecycle.fail(upload.file, "upload:expired", "Given up.")  # and then the process died
    Upload.objects.update(expires_at=timezone.now() - timedelta(hours=23))
    uploads.expire()
    assert list((stores / "models" / "staging").iterdir()) != []
    Upload.objects.update(expires_at=timezone.now() - timedelta(hours=25))
    uploads.expire()
    assert list((stores / "models" / "staging").iterdir()) == []
    assert not Upload.objects.exists()
    assert File.objects.get().state == "failed"


def test_asking_for_part_addresses_keeps_an_upload_alive(creator: Any) -> None:
    upload = begin(creator)
    Upload.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    uploads.part_urls(Upload.objects.get(), [1], "http://hub")
    assert Upload.objects.get(pk=upload.pk).expires_at > timezone.now() + timedelta(hours=23)
