"""Taking bytes in: once under their digest, whoever comes at the same time and wherever a worker dies."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from registry import intake, storage, uploads
from registry.models import Blob, File, Upload
from tests.factories import VersionFactory
from tests.intake import put_parts, upload_bytes

DATA = b"weights " * 200_000
SHA256 = hashlib.sha256(DATA).hexdigest()


def queued(creator: Any, sha256: str = "", data: bytes = DATA) -> File:
    return upload_bytes(VersionFactory(entry__owner=creator), creator, "a.ckpt", data, sha256)


def admit(file: File) -> bytes:
    with intake.admitted(file) as (_, path):
        return path.read_bytes()


def staged(stores: Path) -> list[Path]:
    return list((stores / "models" / "staging").iterdir())


def test_bytes_lie_under_their_digest_with_every_hash(creator: Any, stores: Path) -> None:
    file = queued(creator, SHA256)
    assert admit(file) == DATA
    assert (stores / "models" / storage.blob_name(SHA256)).read_bytes() == DATA
    assert set(Blob.objects.get().hash_values()) == {"SHA256", "BLAKE3", "CRC32", "AutoV2"}
    assert staged(stores) == []


def test_a_wrong_digest_keeps_nothing(creator: Any, stores: Path) -> None:
    with pytest.raises(intake.DigestMismatch, match=SHA256):
        admit(queued(creator, "0" * 64))
    assert not Blob.objects.exists()
    assert staged(stores) == []


def test_the_same_bytes_from_two_uploads_at_once_are_stored_once(transactional_db: None, creator: Any, stores: Path) -> None:
    files, start, read = [queued(creator), queued(creator)], threading.Barrier(2), []

    def work(file: File) -> None:
        start.wait()
        try:
            read.append(admit(file))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [DATA, DATA]
    assert Blob.objects.get().files.count() == 2
    assert staged(stores) == []


@pytest.mark.parametrize("dies_in", ["place_staged", "drop_staged"])
def test_a_worker_that_dies_while_taking_in_leaves_nothing_behind(
    creator: Any, stores: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    file = queued(creator)

    def die(*_: Any) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as broken:
        broken.setattr(storage, dies_in, die)
        with pytest.raises(SystemExit):
            admit(file)
    assert staged(stores) != []
    assert admit(File.objects.get(pk=file.pk)) == DATA
    assert staged(stores) == []


def test_bytes_in_quarantine_are_not_brought_back_by_a_new_upload(creator: Any, stores: Path) -> None:
    admit(queued(creator))
    blob = Blob.objects.get()
    storage.seal(blob)
    Blob.objects.update(sealed=True)
    assert admit(queued(creator)) == DATA  # read where it is sealed
    assert not (stores / "models" / storage.blob_name(SHA256)).exists()


def test_parts_may_not_be_short(creator: Any) -> None:
    upload = uploads.begin(VersionFactory(entry__owner=creator), creator, "a.ckpt", 10)
    assert isinstance(upload, Upload)
    with pytest.raises(Exception, match="10 bytes, but 3 were sent"):
        put_parts(upload, b"abc")
