"""The only place that names a stored object: blobs under their digest, staging under a secret of ours, scratch for workers.

Local disk and S3 differ here and in `staging.py`, nowhere else. Storage trouble is raised as it is (OSError, botocore):
it is ours, and the sweep tries again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages

from registry.formats.reader import FileReader, Reader
from registry.models import Blob
from registry.remote import StoredReader

COPY_CHUNK = 4 * 2**20


class OtherBytes(OSError):
    """A file has not the digest that it is said to have: trouble of ours, and nothing to be stored."""

    def __init__(self, sha256: str) -> None:
        super().__init__(errno.EIO, f"a file that was to be stored as {sha256} has another SHA-256")


def blob_name(sha256: str) -> str:
    """`blobs/sha256/ab/cd/<64 hex>`: derived from the digest, never from a client."""
    return f"blobs/sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def on_disk(alias: str = "models") -> FileSystemStorage | None:
    """The store as a folder, or None where it is S3."""
    store = storages[alias]
    return store if isinstance(store, FileSystemStorage) else None


def path_of(alias: str, name: str) -> Path:
    """Absolute path of an object of a store on local disk, its folder made."""
    store = on_disk(alias)
    assert store is not None, "path_of is for stores on local disk"  # noqa: S101  (a bug of ours, not input)
    path = Path(store.path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def bucket(alias: str) -> Any:
    """The boto3 bucket of a store on S3."""
    return storages[alias].bucket


def alias_of(blob: Blob) -> str:
    return "quarantine" if blob.sealed else "models"


def exists(blob: Blob) -> bool:
    """Whether the bytes are there, with the size that was hashed."""
    store, name = storages[alias_of(blob)], blob_name(blob.sha256)
    return bool(store.exists(name)) and store.size(name) == blob.size_bytes


def scratch_dir() -> Path:
    """Folder for unfinished work of this machine's workers; nothing in it outlives its job."""
    settings.SCRATCH.mkdir(parents=True, exist_ok=True)
    return Path(settings.SCRATCH)


@contextmanager
def scratch_file(suffix: str = "") -> Iterator[Path]:
    """A fresh path in the scratch folder, gone afterwards whatever happened. What a killed process leaves is known by its lost lock."""
    folder = Path(tempfile.mkdtemp(dir=scratch_dir(), prefix="job-"))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder / f"work{suffix}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def abandoned() -> list[Path]:
    """Folders in the scratch folder whose process is dead."""
    return [path for path in scratch_dir().glob("job-*") if _is_abandoned(path)]


def _is_abandoned(folder: Path) -> bool:
    """Unlocked, and for longer than it takes to lock it; where the file system knows no locks, idle for six hours."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        idle_seconds = time.time() - os.fstat(fd).st_mtime
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return idle_seconds > 6 * 3600
    finally:
        os.close(fd)
    return idle_seconds > 60


@contextmanager
def local_path(blob: Blob) -> Iterator[Path]:
    """A path on this machine with the blob's bytes: the stored file itself, or a copy fetched from S3 for the time of the block."""
    name = blob_name(blob.sha256)
    if on_disk(alias_of(blob)):
        yield path_of(alias_of(blob), name)
        return
    with scratch_file() as path:
        with path.open("wb") as target:
            bucket(alias_of(blob)).download_fileobj(name, target)
        yield path


@contextmanager
def reader(blob: Blob) -> Iterator[Reader]:
    """The blob's bytes by offset, wherever they lie: nothing is copied first. A `FileReader` on local disk (it has `fileno`)."""
    name = blob_name(blob.sha256)
    if on_disk(alias_of(blob)):
        with path_of(alias_of(blob), name).open("rb") as file:
            yield FileReader(file.fileno())
        return
    with StoredReader(bucket(alias_of(blob)), name) as stored:
        yield stored


def place_file(path: Path, sha256: str) -> None:
    """Store a finished local file of ours (a derivative) under its digest; the file is gone afterwards. Idempotent.

    The digest is the word of a process that has worked on hostile bytes, and what lies under a digest is served for it, so it is read
    here once more. Raises `OtherBytes`, and nothing stored is touched. Bytes that are stored already, here or sealed, are left alone.
    """
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise OtherBytes(sha256)
    name, size = blob_name(sha256), path.stat().st_size
    if any(store.exists(name) and store.size(name) == size for store in (storages["models"], storages["quarantine"])):
        path.unlink()
    elif on_disk():
        _move(path, path_of("models", name))
    else:
        bucket("models").upload_file(str(path), name)
        path.unlink()


def place_staged(staging_name: str, sha256: str) -> None:
    """Give a staged object its final, content-addressed name. Idempotent: the same bytes may arrive twice at once."""
    name = blob_name(sha256)
    if on_disk():
        _link(staged_path(staging_name), path_of("models", name))
        return
    store = bucket("models")
    store.copy({"Bucket": store.name, "Key": staging_name}, name)


def _link(source: Path, target: Path) -> None:
    """A second name for the same bytes, so that a crash before the database knows leaves the staged name in place."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP}:
            raise
        _copy_whole(source, target)
    target.chmod(0o640)


def _move(source: Path, target: Path) -> None:
    """Rename within the store; across file systems copy to a hidden name first, so that `target` is always whole."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_whole(source, target)
        source.unlink()
    target.chmod(0o640)


def _copy_whole(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def staged_path(staging_name: str) -> Path:
    """Where the parts of a local upload are gathered: one file, written in place."""
    return path_of("models", f"{staging_name}/data")


@contextmanager
def open_staged(staging_name: str) -> Iterator[BinaryIO]:
    """The staged bytes for one sequential read."""
    if on_disk():
        with staged_path(staging_name).open("rb") as file:
            yield file
        return
    body = bucket("models").Object(staging_name).get()["Body"]
    try:
        yield body
    finally:
        body.close()


def drop_staged(staging_name: str) -> None:
    """Remove what is left of an upload; nothing to remove is fine."""
    if on_disk():
        shutil.rmtree(path_of("models", staging_name), ignore_errors=True)
    else:
        bucket("models").Object(staging_name).delete()


def seal(blob: Blob) -> None:
    """Move the bytes to the quarantine store. Idempotent."""
    _between("models", "quarantine", blob)


def unseal(blob: Blob) -> None:
    """Bring the bytes back so that they can be judged again. Idempotent."""
    _between("quarantine", "models", blob)


def _between(source: str, target: str, blob: Blob) -> None:
    name = blob_name(blob.sha256)
    if on_disk():
        path = path_of(source, name)
        if path.exists():
            _move(path, path_of(target, name))
        return
    if storages[source].exists(name):
        bucket(target).copy({"Bucket": bucket(source).name, "Key": name}, name)
        bucket(source).Object(name).delete()


def remove(blob: Blob) -> None:
    """Delete the bytes of a blob that nothing needs any more."""
    storages[alias_of(blob)].delete(blob_name(blob.sha256))


def copy_through(source: BinaryIO, sink: Callable[[bytes], object], chunk: int = COPY_CHUNK) -> int:
    """Feed every block of `source` to `sink`; how many bytes there were."""
    total = 0
    while block := source.read(chunk):
        sink(block)
        total += len(block)
    return total
