"""Published files with real bytes in the local store, without the pipeline: for tests of what comes after it."""

from __future__ import annotations

import hashlib
from typing import Any

from django.utils import timezone

from registry import storage
from registry.formats.hashes import hash_file
from registry.models import Blob, BlobHash, Entry, File, User, Version
from tests.factories import EntryFactory, FileFactory, VersionFactory


def store_bytes(data: bytes, **fields: Any) -> Blob:
    """The blob of `data`, found clean, with every hash, its bytes in the open store."""
    sha256 = hashlib.sha256(data).hexdigest()
    known = Blob.objects.filter(sha256=sha256).first()
    if known:
        return known
    path = storage.path_of("models", storage.blob_name(sha256))
    path.write_bytes(data)
    defaults = {"verdict": "success", "container": "safetensors", "detected": {"precision": "fp16"}, "scanned_at": timezone.now()}
    blob = Blob.objects.create(sha256=sha256, size_bytes=len(data), **{**defaults, **fields})
    BlobHash.objects.bulk_create(BlobHash(blob=blob, kind=kind, value=value) for kind, value in hash_file(path).as_dict().items() if value)
    return blob


def published_entry(owner: User, **fields: Any) -> Entry:
    now = timezone.now()
    return EntryFactory(owner=owner, **{"live": True, "published_at": now, **fields})


def published_version(entry: Entry, **fields: Any) -> Version:
    return VersionFactory(entry=entry, **{"status": "published", "published_at": timezone.now(), **fields})


def published_file(owner: User, data: bytes, name: str = "lantern.safetensors", *, version: Version | None = None, **fields: Any) -> File:
    """A ready file of a public entry, in `version` or in one of its own; blob fields start with `blob_`."""
    blob_fields = {key.removeprefix("blob_"): fields.pop(key) for key in list(fields) if key.startswith("blob_")}
    version = version or published_version(published_entry(owner))
    return FileFactory(version=version, name=name, blob=store_bytes(data, **blob_fields), size_bytes=len(data), **fields)
