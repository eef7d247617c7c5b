"""What the pages that send files know of uploads that are under way, and what their script is told. Writes nothing."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token

from hub.web.uploadwords import texts
from registry import staging
from registry.lifecycle import FileState
from registry.models import Upload, Version
from registry.names import EXTENSIONS


def script_data(request: HttpRequest, versions: list[Version], interrupted: list[dict[str, Any]]) -> dict[str, Any]:
    """For the script of the page: limits, texts, the versions that files go to, and uploads to go on with."""
    return {
        "versions": [version.pk for version in versions],
        "csrf": get_token(request),
        "extensions": sorted(EXTENSIONS),
        "maxBytes": settings.MAX_FILE_BYTES,
        "open": interrupted,
        "texts": texts(),
    }


def open_uploads(version: Version) -> list[dict[str, Any]]:
    """Uploads of this version that were interrupted, as `_open_upload` tells of each."""
    rows = Upload.objects.select_related("file").filter(file__version=version, file__state=FileState.UPLOADING, completed_at=None)
    return [_open_upload(upload) for upload in rows.order_by("created_at")]


def _open_upload(upload: Upload) -> dict[str, Any]:
    have = sum(part["size"] for part in staging.received(upload).values())
    return {
        "id": str(upload.pk),
        "version": upload.file.version_id,
        "name": upload.file.name,
        "size": upload.file.size_bytes,
        "sha256": upload.file.declared_sha256,
        "part_size": upload.part_size_bytes,
        "received": have,
        "percent": int(100 * have / upload.file.size_bytes),
    }
