"""Opens stored weights for a render child, which maps them: where they lie on the disk, else copies that are kept for a while."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from django.conf import settings

from registry import storage
from registry.models import Blob


@contextmanager
def opened(blobs: Sequence[Blob]) -> Iterator[list[int]]:
    """A descriptor for each of these stored blobs, open for reading. Raises OSError and the store's errors."""
    with ExitStack() as stack:
        yield [_open(blob, stack) for blob in blobs]


def _open(blob: Blob, stack: ExitStack) -> int:
    if storage.on_disk(storage.alias_of(blob)):
        path = storage.path_of(storage.alias_of(blob), storage.blob_name(blob.sha256))
    else:
        path = _copy(blob)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd


def _copy(blob: Blob) -> Path:
    """The copy of a blob on this machine, fetched where there is none, the longest unused ones making room."""
    path = _folder() / blob.sha256
    if path.exists() and path.stat().st_size == blob.size_bytes:
        os.utime(path)
        return path
    _make_room(blob.size_bytes)
    with storage.local_path(blob) as fetched:
        with fetched.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != blob.sha256:
                raise storage.OtherBytes(blob.sha256)
        os.replace(fetched, path)
    return path


def _folder() -> Path:
    folder = storage.scratch_dir() / "weights"
    folder.mkdir(exist_ok=True)
    return folder


def _make_room(size_bytes: int) -> None:
    """Remove the copies that were not used for longest until this much more fits. Who has one open keeps it until the end."""
    kept = sorted(_folder().iterdir(), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in kept)
    for path in kept:
        if total + size_bytes <= settings.RENDER_CACHE_BYTES:
            return
        with suppress(FileNotFoundError):
            total -= path.stat().st_size
            path.unlink()
