"""`./weigh manage digest`: bytes from before there were digests get them, each read once; damage is told, not recorded."""

from __future__ import annotations

import os
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from safetensors.torch import save

from hub.management.commands import digest as command
from registry import storage
from registry.models import BlobHash, File, TensorDigests, User
from tests import tiny
from tests.hub.published import published_entry, published_version
from tests.intake import drain, upload_bytes


@pytest.fixture(autouse=True)
def no_priority_is_given_away(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A priority that was given away cannot be had back, and other tests measure time."""
    given: list[int] = []
    monkeypatch.setattr(os, "nice", given.append)
    return given


@pytest.fixture
def old(creator: User) -> File:
    """A file as the hub had it before it took digests."""
    file = upload_bytes(published_version(published_entry(creator)), creator, "old.safetensors", save(tiny.state_dict()))
    drain()
    TensorDigests.objects.all().delete()
    BlobHash.objects.filter(kind="TENSORS").delete()
    return File.objects.get(pk=file.pk)


def run(*options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("digest", *options, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue().strip()


def blobs() -> int:
    return command.undigested().count()


def test_old_files_get_digests_parts_and_the_hash_of_tensors(old: File, no_priority_is_given_away: list[int]) -> None:
    waiting = blobs()
    assert waiting > 1  # the variants that the hub made, too
    assert run() == (f"{waiting} files read, 0 left.", "")
    row = TensorDigests.objects.get(blob=old.blob_id)
    assert len(row.digests) == len(tiny.state_dict())
    assert all(len(part) == 64 for part in (row.unet, row.vae, row.te))
    assert BlobHash.objects.filter(blob=old.blob_id, kind="TENSORS").count() == 1
    assert run() == ("0 files read, 0 left.", "")
    assert no_priority_is_given_away == [19, 19]


def test_limit_leaves_the_rest_for_another_time(old: File) -> None:
    waiting = blobs()
    assert run("--limit", 1) == (f"1 file read, {waiting - 1} left.", "")


def test_damaged_bytes_are_told_and_get_no_digests(old: File) -> None:
    File.objects.filter(source=old).delete()
    path = storage.path_of("models", storage.blob_name(old.sha256))
    os.chmod(path, 0o640)
    with path.open("r+b") as stored:
        stored.seek(-1, os.SEEK_END)
        stored.write(b"\xff")
    out, err = run()
    assert f"{old.sha256} is damaged" in err
    assert "(1 with trouble)" in out
    assert not TensorDigests.objects.filter(blob=old.blob_id).exists()


def test_missing_bytes_do_not_stop_the_others(old: File) -> None:
    storage.path_of("models", storage.blob_name(old.sha256)).unlink()
    others = blobs() - 1
    out, err = run()
    assert out == f"{others} file{'' if others == 1 else 's'} read, 1 left (1 with trouble)."
    assert err == f"{old.sha256} cannot be read: No such file or directory."


@pytest.mark.usefixtures("s3_stores")
def test_objects_are_read_without_a_copy(creator: User) -> None:
    file = upload_bytes(published_version(published_entry(creator)), creator, "old.safetensors", save(tiny.lora_state()))
    drain()
    expected = TensorDigests.objects.get(blob=File.objects.get(pk=file.pk).blob_id).digests
    TensorDigests.objects.all().delete()
    assert run() == ("1 file read, 0 left.", "")
    assert TensorDigests.objects.get().digests == expected
