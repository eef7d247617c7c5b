"""GET /api/v1/model-versions/mini/{id}: what a program needs to fetch one file of a version, and the version's AIR."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from hub.api.civitai import air, parameters, permissions, rows, shapes
from hub.api.civitai.answers import ApiError, answer, endpoint, iso
from hub.api.civitai.choosing import primary
from hub.api.civitai.rows import EntryRow, FileRow, VersionRow
from hub.api.civitai.versionbodies import is_gone
from hub.downloads import origin_of
from registry import queries
from registry.models import CLOSED, Entry, User, Visibility


@endpoint
def mini(request: HttpRequest, user: User | None, version_id: str) -> HttpResponse:
    """The primary file, or with `modelFileId` that one. What is withdrawn has no file to fetch, so it is not found."""
    number = parameters.read_id(version_id, "model version")
    wanted = parameters.read_id(request.GET["modelFileId"], "file") if request.GET.get("modelFileId") else None
    versions = queries.readable_versions(user).filter(pk=number)
    entries = rows.read_entries(Entry.objects.filter(pk__in=versions.values("entry")), versions)
    if not entries or is_gone(entries[0], entries[0].versions[0]):
        raise ApiError(404, "Model not found")
    [entry] = entries
    [version] = entry.versions
    rows.add_files([version])
    file = primary(version.files) if wanted is None else next((one for one in version.files if one.id == wanted), None)
    if file is None:
        raise ApiError(404, "Missing model file" if wanted is None else f"Model file {wanted} not found in version {number}")
    can_generate = user is not None and number in permissions.renderable(user, [number])
    return answer(_shape(origin_of(request), entry, version, file, named=wanted is not None) | {"canGenerate": can_generate})


def _shape(origin: str, entry: EntryRow, version: VersionRow, file: FileRow, *, named: bool) -> dict[str, Any]:
    private = entry.visibility in CLOSED
    kind = shapes.type_of(entry, version)
    return {
        "air": air.name(version.base_model, kind, entry.id, version.id, file.id if named else None),
        "versionName": version.name,
        "modelName": entry.name,
        "userId": entry.owner_id,
        "baseModel": version.base_model,
        "availability": shapes.AVAILABILITY[Visibility(entry.visibility)],
        "publishedAt": iso(version.published_at or version.created_at),
        "size": file.size_bytes / 1024,
        "fileType": file.file_type,
        "fileName": file.name,
        "hashes": {kind: value.upper() for kind, value in file.hashes.items()},
        "downloadUrls": [shapes.download_address(origin, version.id, file if named else None)],
        "format": file.metadata["format"],
        "isFeatured": False,
        "requireAuth": private,
        "checkPermission": private,
        "additionalResourceCharge": False,
        "minor": False,
        "sfwOnly": False,
        "fees": [],
        "payoutEnabled": False,
    }
