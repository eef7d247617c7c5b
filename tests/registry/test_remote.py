"""Bytes of an S3 object by offset: exactly its own, ahead of a reader in order, through broken bodies, and never of two objects."""

from __future__ import annotations

import hashlib
import io
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from registry import remote, storage
from registry.formats.errors import FormatError
from registry.formats.window import Window
from registry.models import Blob
from registry.remote import Changed, StoredReader

DATA = random.Random(7).randbytes(21 * 2**20 + 4321)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blob(s3_stores: None, db: None) -> Blob:
    storage.bucket("models").upload_fileobj(io.BytesIO(DATA), storage.blob_name(SHA256))
    return Blob.objects.create(sha256=SHA256, size_bytes=len(DATA), stored=True)


def read(reader: Any, offset: int, size: int) -> bytes:
    view = bytearray(size)
    reader.read_into(offset, memoryview(view))
    return bytes(view)


def test_reading_in_order_fetches_every_byte_once(blob: Blob) -> None:
    with storage.reader(blob) as reader:
        assert reader.size == len(DATA)
        whole = b"".join(read(reader, at, min(2**20, len(DATA) - at)) for at in range(0, len(DATA), 2**20))
        assert isinstance(reader, StoredReader)
        assert reader.fetched == len(DATA)
    assert hashlib.sha256(whole).hexdigest() == SHA256


def test_jumps_read_what_lies_there(blob: Blob) -> None:
    dice = random.Random(3)
    with storage.reader(blob) as reader:
        for _ in range(40):
            offset = dice.randrange(len(DATA))
            size = dice.choice([1, 100, 70_000, 3_000_000])
            assert read(reader, offset, min(size, len(DATA) - offset)) == DATA[offset : offset + size]


def test_neighbours_in_any_order_are_fetched_about_once(blob: Blob) -> None:
    """Small tensors in the order of their names, which is not that of the file."""
    places = list(range(0, 8 * 2**20, 16384))
    random.Random(5).shuffle(places)
    with storage.reader(blob) as reader:
        for at in places:
            assert read(reader, at, 16384) == DATA[at : at + 16384]
        assert isinstance(reader, StoredReader)
        assert reader.fetched < 4 * 8 * 2**20


def test_a_look_at_the_head_fetches_little(blob: Blob) -> None:
    with storage.reader(blob) as reader:
        assert Window(reader).read(8, 1000) == DATA[8:1008]
        assert isinstance(reader, StoredReader)
        assert reader.fetched <= remote.FIRST


def test_behind_the_end_is_nothing(blob: Blob) -> None:
    with storage.reader(blob) as reader, pytest.raises(FormatError, match="F-TRUNCATED"):
        read(reader, len(DATA) - 1, 2)


def test_bytes_that_change_under_way_are_never_mixed(blob: Blob) -> None:
    with storage.reader(blob) as reader:
        read(reader, 0, 10)
        storage.bucket("models").upload_fileobj(io.BytesIO(DATA[::-1]), storage.blob_name(SHA256))
        with pytest.raises(Changed):
            read(reader, 12 * 2**20, 10)


def test_an_object_that_is_not_there_is_the_stores_word(s3_stores: None, db: None) -> None:
    blob = Blob.objects.create(sha256=SHA256, size_bytes=len(DATA), stored=True)
    with pytest.raises(ClientError, match="404"), storage.reader(blob):
        pass


class CutShort:
    """A client whose first bodies end early: what a store does that is restarted."""

    def __init__(self, client: Any, cuts: int) -> None:
        self.client, self.cuts, self.asked = client, cuts, list[str]()

    def head_object(self, **given: Any) -> Any:
        return self.client.head_object(**given)

    def get_object(self, **given: Any) -> Any:
        self.asked.append(given["Range"])
        answer = self.client.get_object(**given)
        if self.cuts > 0:
            self.cuts -= 1
            with answer["Body"] as body:
                answer["Body"] = io.BytesIO(body.read(100))
        return answer


def test_a_body_that_breaks_off_is_taken_up_where_it_ended(blob: Blob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAIT_SECONDS", 0.01)
    with storage.reader(blob) as reader:
        client = CutShort(reader._client, 2)  # type: ignore[attr-defined]
        reader._client = client  # type: ignore[attr-defined]
        assert read(reader, 5, 1000) == DATA[5:1005]
        assert client.asked[:3] == [f"bytes={at}-{4 + remote.FIRST}" for at in (5, 105, 205)]


def test_a_store_that_never_sends_all_of_it_is_trouble(blob: Blob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAIT_SECONDS", 0.01)
    with storage.reader(blob) as reader:
        reader._client = CutShort(reader._client, 99)  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="the store sent 400 of"):
            read(reader, 5, 1000)


def test_on_local_disk_the_file_itself_is_read(db: None) -> None:
    blob = Blob.objects.create(sha256=SHA256, size_bytes=len(DATA), stored=True)
    storage.path_of("models", storage.blob_name(SHA256)).write_bytes(DATA)
    with storage.reader(blob) as reader:
        assert read(reader, 77, 1000) == DATA[77:1077]
        assert reader.fileno() > 2  # type: ignore[attr-defined]
