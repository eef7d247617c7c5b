"""Bytes that are announced by their SHA-256 before anybody says where they lie: how large files of a push arrive, and get their place.

The uploads are `uploads.py`'s like any other; only their file has no name yet. What no push names is given up like them after a day.
"""

from __future__ import annotations

from django.db.models import QuerySet

from registry import queries, staging, uploads
from registry.lifecycle import FileState, LostRace
from registry.models import Entry, File, Upload, User, Version
from registry.repopaths import flat_name
from registry.uploads import Refused

_JUDGED = (FileState.QUEUED, FileState.SCANNING)
"""States in which bytes belong to one file alone: nobody has stored them under their digest yet."""
MAX_OPEN = 1_000
"""Uploads of one user that may wait at a time: each is a folder or a multipart upload of the store."""


def expect(version: Version, owner: User, sha256: str, size_bytes: int) -> Upload | None:
    """The upload that takes these bytes, new or gone on with; None where they are here already and may be linked by this user.

    Raises `Refused` as `uploads.begin`. That bytes are here is told only to who can read a file of them.
    """
    known = queries.readable_blob(owner, sha256)
    if known is not None:
        _check_announced(known.size_bytes, size_bytes)
        return None
    upload = _waiting(version.entry, owner, sha256)
    if upload is not None:
        _check_announced(upload.file.size_bytes, size_bytes)
        uploads.keep_alive(upload)
        return None if staging.joined(upload) else upload
    if Upload.objects.filter(owner=owner, completed_at=None, file__state=FileState.UPLOADING).count() >= MAX_OPEN:
        raise Refused("upload:too-many", f"{MAX_OPEN} uploads of yours are open. Finish or discard some first.", 429)
    uploads.check_size(size_bytes, owner)
    try:
        return uploads.start(version, owner, f"{sha256}{uploads.UNPLACED}", size_bytes, sha256)
    except Refused:  # the same question came twice at once
        upload = _waiting(version.entry, owner, sha256)
        if upload is None:
            raise
        return upload


def arrived(entry_owner: User, sha256: str, size_bytes: int) -> bool:
    """Whether these bytes wait for this user's push, or may be linked by it."""
    known = queries.readable_blob(entry_owner, sha256)
    if known is not None:
        return known.size_bytes == size_bytes
    rows = _uploads(entry_owner, sha256).filter(file__size_bytes=size_bytes)
    return any(staging.joined(upload) for upload in rows[:5])


def place(version: Version, owner: User, path: str, sha256: str, size_bytes: int | None) -> File:
    """Give bytes that arrived (or are here already) their path in `version` and queue the file. In the caller's transaction.

    Raises `Refused` `upload:never-arrived` for bytes that did not come to the end, or are not this user's to link.
    """
    taken = File.kept.filter(version=version).exclude(state=FileState.FAILED).values_list("name", flat=True)
    name = flat_name(path, [one for one in taken if one != f"{sha256}{uploads.UNPLACED}"], sha256)
    upload = _waiting(version.entry, owner, sha256)
    if upload is not None and staging.joined(upload):
        _check_announced(upload.file.size_bytes, size_bytes)
        try:
            return uploads.queue(upload, version=version, name=name, path=path)
        except LostRace:
            raise Refused("upload:closed", f"{path} was taken by another push just now. Try again.", 409) from None
    known = queries.readable_blob(owner, sha256)
    if known is not None:
        _check_announced(known.size_bytes, size_bytes)
        return uploads.link(version, name, known, path=path)
    twin = File.objects.filter(version__entry=version.entry, declared_sha256=sha256, state__in=_JUDGED).first()
    if twin is not None:
        text = f"{path} has the same bytes as {twin.path or twin.name}, which is being examined. Commit it when that is done."
        raise Refused("upload:same-bytes", text, 409)
    text = f"The bytes of {path} have not arrived (SHA-256 {sha256[:12]}...). Upload them, then commit again."
    raise Refused("upload:never-arrived", text)


def _uploads(owner: User, sha256: str) -> QuerySet[Upload]:
    rows = Upload.objects.filter(owner=owner, completed_at=None, file__declared_sha256=sha256, file__state=FileState.UPLOADING)
    return rows.select_related("file__version__entry").order_by("created_at")


def _waiting(entry: Entry, owner: User, sha256: str) -> Upload | None:
    """The user's own unplaced upload of these bytes to this entry, whichever version it was announced for."""
    return _uploads(owner, sha256).filter(file__version__entry=entry, file__name=f"{sha256}{uploads.UNPLACED}").first()


def _check_announced(have: int, announced: int | None) -> None:
    if announced is not None and have != announced:
        raise Refused("upload:size-mismatch", f"The file with this SHA-256 has {have:,} bytes, not {announced:,}.")
