"""Uploads as verbs: begin, part_urls, complete (close, then queue), link, expire. The bytes themselves are `staging.py`'s."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from registry import lifecycle, queries, staging, storage, timeline
from registry.lifecycle import FileState
from registry.models import Blob, File, Upload, User, Version
from registry.names import clean_file_name
from registry.refusals import Refusal

MIN_PART_BYTES = 5 * 2**20
MAX_PARTS = 9_000
"""S3 takes at most 10,000 parts of at least 5 MiB."""
RESERVE_BYTES = 256 * 2**20
"""Disk that uploads must leave free, so that database and workers go on."""


UNPLACED = ".incoming"
"""Ending of the name that a file has while nobody has said where its bytes belong (`incoming.py`). No upload can be given it."""


class Refused(Refusal):
    """What a client asked of an upload cannot be done."""

    STATUS = 400


def begin(version: Version, owner: User, file_name: str, size_bytes: int, sha256: str = "") -> Upload | File:
    """Start an upload; returns the `Upload`, or a `File` when the caller's bytes are already here and were linked.

    Raises `Refused` (limits, quota, a taken name) and `FormatError` (name).
    """
    name = clean_file_name(file_name)
    sha256 = _checked_digest(sha256)
    check_size(size_bytes, owner)
    known = queries.readable_blob(owner, sha256) if sha256 else None
    if known is not None:
        if known.size_bytes != size_bytes:
            raise Refused("upload:size-mismatch", f"The file with this SHA-256 has {known.size_bytes:,} bytes, not {size_bytes:,}.")
        return link(version, name, known)
    return _under_way(version, owner, name, size_bytes, sha256) or start(version, owner, name, size_bytes, sha256)


def _under_way(version: Version, owner: User, name: str, size_bytes: int, sha256: str) -> Upload | None:
    """The caller's own open upload of what looks like the same file: beginning again goes on where it stopped."""
    same = Upload.objects.filter(
        file__version=version, file__name=name, file__size_bytes=size_bytes, file__declared_sha256=sha256, file__state=FileState.UPLOADING
    )
    upload = same.filter(owner=owner, completed_at=None, expires_at__gt=timezone.now()).select_related("file").first()
    if upload is not None:
        keep_alive(upload)
    return upload


def keep_alive(upload: Upload) -> None:
    """A sign of life: it is not given up for another day."""
    Upload.objects.filter(pk=upload.pk).update(expires_at=_expiry())


def link(version: Version, name: str, blob: Blob, *, path: str = "") -> File:
    """A file over bytes that are stored already; it runs through the same life, only faster."""
    with transaction.atomic():
        file = _new_file(version, name, blob.size_bytes, blob.sha256, state=FileState.QUEUED, blob=blob, path=path)
        timeline.mark(file, "received", "These bytes are already in this hub: linked without sending them again.")
        lifecycle.born(file)
    return file


def start(version: Version, owner: User, name: str, size_bytes: int, sha256: str) -> Upload:
    """A new upload of a file with this name, unchecked: limits are `check_size`'s. Raises `Refused` for a name that is taken."""
    part_size = part_size_for(size_bytes)
    with transaction.atomic():
        file = _new_file(version, name, size_bytes, sha256, state=FileState.UPLOADING)
        upload = Upload.objects.create(
            file=file,
            owner=owner,
            part_size_bytes=part_size,
            part_count=math.ceil(size_bytes / part_size),
            expires_at=_expiry(),
        )
        staging.begin(upload)
    return upload


def _new_file(version: Version, name: str, size_bytes: int, sha256: str, **more: object) -> File:
    try:
        with transaction.atomic():
            return File.objects.create(version=version, name=name, size_bytes=size_bytes, declared_sha256=sha256, **more)
    except IntegrityError:
        raise Refused(
            "upload:name-taken", f"This version already has a file named {name}. Rename yours, or delete the other first.", 409
        ) from None


def part_size_for(size_bytes: int) -> int:
    """Bytes per part: the configured size, larger only where a file would need more than `MAX_PARTS` parts."""
    needed = math.ceil(size_bytes / MAX_PARTS)
    return max(settings.PART_SIZE_BYTES, MIN_PART_BYTES, math.ceil(needed / 2**20) * 2**20)


def part_urls(upload: Upload, numbers: list[int], origin: str) -> list[dict[str, object]]:
    """[{"number", "url"}] for the parts asked for; also keeps the upload alive for another day."""
    _check_open(upload)
    for number in numbers:
        _check_number(upload, number)
    keep_alive(upload)
    return [{"number": number, "url": staging.part_url(upload, number, origin)} for number in numbers]


def complete(upload: Upload, etags: Mapping[int, str] | None = None) -> File:
    """Everything arrived: close the upload and queue the file. Asked twice it answers the same file.

    Raises what `close` raises. The SHA-256 that was announced is compared in the one read that computes all hashes, before anything
    else looks at the bytes (`intake.py`).
    """
    if upload.completed_at:
        return upload.file
    if upload.file.name.endswith(UNPLACED):
        raise Refused("upload:no-place", "These bytes were sent by a push. The commit that names them completes their upload.", 409)
    close(upload, etags)
    try:
        return queue(upload)
    except lifecycle.LostRace:
        upload.file.refresh_from_db()
        return upload.file


def close(upload: Upload, etags: Mapping[int, str] | None = None) -> None:
    """Join what arrived into bytes that nobody can write to any more; the file waits to be queued. Asked twice it changes nothing.

    `etags`: what the client says it sent, by part. Raises `Refused` with what is missing or different.
    """
    _check_open(upload)
    for number in etags or {}:
        _check_number(upload, number)
    try:
        staging.complete(upload, etags)
    except staging.OtherPart as other:
        text = f"Part {other.number} arrived with another ETag than you give. Send it again, then complete with the ETag of the answer."
        raise Refused("upload:etag-mismatch", text, 409) from None
    except staging.PartsBusy:
        raise Refused("upload:part-busy", "A part is still arriving. Wait for it, then complete the upload again.", 409) from None
    except staging.PartsMissing as missing:
        shown = ", ".join(map(str, missing.numbers[:20])) + (" ..." if len(missing.numbers) > 20 else "")
        count = f"{len(missing.numbers)} of {upload.part_count}"
        text = f"{count} parts are missing or have a wrong size: {shown}. Send them, then complete again."
        raise Refused("upload:parts-missing", text, 409) from None
    keep_alive(upload)


def queue(upload: Upload, **changes: object) -> File:
    """Queue the file of a closed upload, setting `changes` (its name and place, say) in the same move. Raises `LostRace`."""
    file = upload.file
    with transaction.atomic():
        upload.completed_at = timezone.now()
        upload.save(update_fields=["completed_at"])
        parts = "1 part" if upload.part_count == 1 else f"{upload.part_count} parts"
        timeline.mark(file, "received", f"{file.size_bytes:,} bytes in {parts}.")
        return lifecycle.advance(file, FileState.QUEUED, **changes)


def _check_number(upload: Upload, number: int) -> None:
    if not 1 <= number <= upload.part_count:
        raise Refused("upload:part-number", f"Part {number} does not exist: this upload has parts 1 to {upload.part_count}.")


def cancel(upload: Upload, code: str = "upload:cancelled", sentence: str = "The upload was cancelled.") -> None:
    """Give up an open upload and free what it took. Raises `LostRace` when it was completed meanwhile: then its bytes stay.

    The row fails before the bytes go. What a crash in between leaves is freed by `expire` a day later.
    """
    if upload.file.state == FileState.UPLOADING:
        lifecycle.fail(upload.file, code, sentence)
    staging.abort(upload)


def expire() -> int:
    """Fail uploads whose last sign of life is older than a day; how many there were. Called by the sweep."""
    count = 0
    for upload in _overdue(FileState.UPLOADING, timezone.now()):
        hours = settings.UPLOAD_EXPIRY_HOURS
        try:
            cancel(upload, "upload:expired", f"No part arrived for {hours} hours, so the upload was given up. Start it again.")
            count += 1
        except lifecycle.LostRace:
            continue
    for upload in _overdue(FileState.FAILED, timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRY_HOURS)):
        staging.abort(upload)
        upload.delete()
    return count


def _overdue(state: str, before: datetime) -> QuerySet[Upload]:
    return Upload.objects.select_related("file").filter(completed_at=None, expires_at__lt=before, file__state=state)[:100]


def _check_open(upload: Upload) -> None:
    if upload.completed_at or upload.file.state != FileState.UPLOADING:
        raise Refused("upload:closed", "This upload is finished or was given up. Start a new one.", 409)
    if upload.expires_at < timezone.now():
        raise Refused("upload:expired", "This upload has expired. Start a new one.", 410)


def check_size(size_bytes: int, owner: User) -> None:
    """Raises `Refused` for a file that is empty, beyond the hub's limit or its owner's quota, or that the disk could not hold."""
    if size_bytes < 1:
        raise Refused("upload:empty", "The file is empty (0 bytes). Check that it was saved completely, then upload it again.")
    if size_bytes > settings.MAX_FILE_BYTES:
        raise Refused("upload:too-large", f"The file has {size_bytes:,} bytes; this hub takes at most {settings.MAX_FILE_BYTES:,}.", 413)
    used = File.objects.filter(version__entry__owner=owner, role="uploaded").exclude(state=FileState.FAILED)
    total = used.aggregate(total=Sum("size_bytes"))["total"] or 0
    if total + size_bytes > settings.USER_QUOTA_BYTES:
        room = f"Your files take {total:,} of {settings.USER_QUOTA_BYTES:,} bytes; {size_bytes:,} more do not fit."
        text = f"{room} Delete something or ask an admin."
        raise Refused("upload:quota", text, 413)
    check_room(size_bytes)


def check_room(size_bytes: int) -> None:
    """Raises `Refused` `upload:disk-full` where the local store could not hold `size_bytes` more."""
    store = storage.on_disk()
    if store is None:
        return
    folder = storage.path_of("models", "staging/x").parent
    free = shutil.disk_usage(folder).free
    if free - size_bytes < min(RESERVE_BYTES, size_bytes // 4):
        text = (
            f"The hub's disk has {free:,} bytes left, too little for {size_bytes:,}. Nothing was sent; tell the admin and try again later."
        )
        raise Refused("upload:disk-full", text, 507)


def _checked_digest(sha256: str) -> str:
    digest = sha256.strip().lower().removeprefix("0x")
    if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise Refused("upload:sha256-format", "sha256 must be 64 hexadecimal digits, or be left out.")
    return digest


def _expiry() -> datetime:
    return timezone.now() + timedelta(hours=settings.UPLOAD_EXPIRY_HOURS)
