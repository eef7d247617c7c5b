"""Content addressing: what lies under a digest has that digest, whoever says so."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from registry import storage
from registry.models import Blob


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "work.safetensors"
    path.write_bytes(data)
    return path


def stored(data: bytes) -> Path:
    return storage.path_of("models", storage.blob_name(digest(data)))


def test_bytes_are_stored_under_their_digest_and_the_work_file_is_gone(tmp_path: Path) -> None:
    path = written(tmp_path, b"made")
    storage.place_file(path, digest(b"made"))
    assert stored(b"made").read_bytes() == b"made"
    assert not path.exists()


@pytest.mark.parametrize("claimed", [b"the private bytes of somebody else", b"as long"])
def test_a_false_digest_neither_takes_the_place_of_other_bytes_nor_stands_for_them(tmp_path: Path, claimed: bytes) -> None:
    """A process that was broken out of names its output as it likes: with another size, and with the same."""
    storage.place_file(written(tmp_path, claimed), digest(claimed))
    with pytest.raises(storage.OtherBytes):
        storage.place_file(written(tmp_path, b"my hack"), digest(claimed))
    assert stored(claimed).read_bytes() == claimed


def test_a_false_digest_does_not_wait_for_the_true_bytes(tmp_path: Path) -> None:
    with pytest.raises(storage.OtherBytes):
        storage.place_file(written(tmp_path, b"a trap"), digest(b"to be uploaded by somebody later"))
    assert not stored(b"to be uploaded by somebody later").exists()


def test_a_false_digest_is_refused_on_s3_too(tmp_path: Path, s3_stores: None) -> None:
    storage.place_file(written(tmp_path, b"good"), digest(b"good"))
    with pytest.raises(storage.OtherBytes):
        storage.place_file(written(tmp_path, b"evil"), digest(b"good"))
    body: Any = storage.bucket("models").Object(storage.blob_name(digest(b"good"))).get()["Body"]
    with body:
        assert body.read() == b"good"


def test_bytes_that_are_sealed_do_not_come_back_to_the_open_store(tmp_path: Path) -> None:
    storage.place_file(written(tmp_path, b"sealed"), digest(b"sealed"))
    storage.seal(Blob(sha256=digest(b"sealed"), size_bytes=6))
    storage.place_file(written(tmp_path, b"sealed"), digest(b"sealed"))
    assert not stored(b"sealed").exists()
