"""Puts a file that lies on the hub's own machine into an upload, by the same staging as any client: samples, imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from registry import storage, uploads
from registry.models import File, Upload, User, Version
from registry.partfile import PartFile

CHUNK = 4 * 2**20


def deposit(version: Version, owner: User, path: Path, name: str = "", sha256: str = "") -> File:
    """Begin an upload for `path`, send every part, complete it; returns the queued file (or the one that was linked).

    With `sha256` (lower-case hex) what is here already is linked, and an upload of the same file that was interrupted is sent anew.

    Raises what `uploads.begin` and `uploads.complete` raise.
    """
    begun = uploads.begin(version, owner, name or path.name, path.stat().st_size, sha256)
    if isinstance(begun, File):
        return begun
    with path.open("rb") as source:
        send_parts(begun, source)
    return uploads.complete(begun)


def send_parts(upload: Upload, source: BinaryIO) -> None:
    """Send every part of an open upload from `source`, read from its start to its end."""
    send = _send_local if storage.on_disk() else _send_s3
    for number in range(1, upload.part_count + 1):
        send(upload, number, source)


def _send_local(upload: Upload, number: int, source: BinaryIO) -> None:
    left = upload.part_bytes(number)
    part = PartFile(storage.staged_path(upload.staging_name).parent, number, (number - 1) * upload.part_size_bytes, left)
    try:
        while left and (block := source.read(min(CHUNK, left))):
            part.write(block)
            left -= len(block)
        part.finish()
    finally:
        part.close()


def _send_s3(upload: Upload, number: int, source: BinaryIO) -> None:
    client: Any = storage.bucket("models").meta.client
    client.upload_part(
        Bucket=storage.bucket("models").name,
        Key=upload.staging_name,
        UploadId=upload.backend_id,
        PartNumber=number,
        Body=source.read(upload.part_bytes(number)),
    )
