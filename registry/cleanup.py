"""Gives back disk: bytes that no file stands on, bytes of what was deleted long ago, staging that lost its upload.

Rows of published things stay, as tombstones; only bytes go. Never touches anything younger than its grace time.
"""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from registry import staging, storage
from registry.models import Blob, File, Upload, Version

log = logging.getLogger(__name__)
GRACE = timedelta(hours=1)
"""Younger orphans may belong to work in progress."""


def abandon_uploads(version: Version) -> None:
    """Throw away what open uploads of a version have staged; call before its rows are deleted."""
    for upload in Upload.objects.filter(file__version=version, completed_at=None):
        staging.abort(upload)


def collect() -> dict[str, int]:
    """One round of tidying; how many blobs were forgotten, emptied, and staging folders removed. Called by the scheduler."""
    return {"forgotten": _forget_orphans(), "emptied": _empty_deleted(), "staging": _drop_lost_staging(), "scratch": _drop_old_scratch()}


def _forget_orphans() -> int:
    """Blobs that no file row names: nobody published them, so nothing is kept."""
    used = Exists(File.objects.filter(blob=OuterRef("pk")))
    orphans = Blob.objects.filter(~used, created_at__lt=timezone.now() - GRACE)
    return sum(map(_forget, orphans.values_list("pk", flat=True)[:200]))


@transaction.atomic
def _forget(pk: int) -> bool:
    """Forget an orphan unless a file has come to need it since: the lock holds up whoever makes one now, who then finds no blob."""
    blob = Blob.objects.select_for_update().filter(pk=pk).first()
    if blob is None or File.objects.filter(blob=pk).exists():
        return False
    blob.delete()
    storage.remove(blob)
    return True


def _empty_deleted() -> int:
    """Bytes whose every file was deleted more than `KEEP_DELETED_DAYS` ago; hashes and reports stay."""
    before = timezone.now() - timedelta(days=settings.KEEP_DELETED_DAYS)
    gone = Q(version__deleted_at__lt=before) | Q(version__entry__deleted_at__lt=before)
    living = File.objects.filter(blob=OuterRef("pk")).exclude(gone)
    emptied = Blob.objects.filter(~Exists(living), stored=True, created_at__lt=before)[:200]
    for blob in emptied:
        storage.remove(blob)
        Blob.objects.filter(pk=blob.pk).update(stored=False)
    return len(emptied)


def _drop_lost_staging() -> int:
    """Staging folders on local disk whose upload row is gone. (S3 keeps its own list; `abandon_uploads` empties it.)"""
    if storage.on_disk() is None:
        return 0
    count = 0
    for folder in storage.path_of("models", "staging/any").parent.iterdir():
        if _old(folder) and not _known(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _known(name: str) -> bool:
    try:
        return Upload.objects.filter(pk=uuid.UUID(name.split("-")[0])).exists()
    except ValueError:
        return False


def _drop_old_scratch() -> int:
    """What a killed worker left in this machine's scratch folder, several times the size of a model perhaps."""
    left = storage.abandoned()
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _old(path: Path) -> bool:
    """Nothing was added here or taken away for an hour."""
    try:
        return time.time() - path.stat().st_mtime > 3600
    except FileNotFoundError:
        return False
