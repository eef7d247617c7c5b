"""Finds what an address of this API names, for this caller: what is private looks exactly like what does not exist."""

from __future__ import annotations

import uuid

from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, PermissionDenied
from rest_framework.request import Request

from registry import queries
from registry.models import Entry, File, Upload, Version


class Gone(APIException):
    """What is asked to be changed was deleted; reading its tombstone still works."""

    status_code = status.HTTP_410_GONE
    default_code = "gone"
    default_detail = "This was deleted. Its tombstone can be read, not changed."


def entry_to_read(request: Request, pk: int) -> Entry:
    entry = Entry.objects.select_related("owner").filter(pk=pk).first()
    if entry is None or not queries.may_read(request.user, entry):
        raise NotFound("There is no such entry, or it is not yours to see.")
    return entry


def entry_to_change(request: Request, pk: int) -> Entry:
    entry = entry_to_read(request, pk)
    _may_change(request, entry)
    if entry.gone:
        raise Gone
    return entry


def version_to_read(request: Request, pk: int) -> Version:
    version = Version.objects.select_related("entry__owner").filter(pk=pk).first()
    if version is None or not queries.may_read_version(request.user, version):
        raise NotFound("There is no such version, or it is not yours to see.")
    return version


def version_to_change(request: Request, pk: int) -> Version:
    version = version_to_read(request, pk)
    _may_change(request, version.entry)
    if version.deleted_at or version.entry.gone:
        raise Gone
    return version


def file_to_read(request: Request, pk: int) -> File:
    rows = queries.files_with_blobs().select_related("version__entry__owner", "blob")
    file = rows.filter(pk=pk).first()
    if file is None or not queries.may_see_file(request.user, file):
        raise NotFound("There is no such file, or it is not yours to see.")
    return file


def file_to_change(request: Request, pk: int) -> File:
    file = file_to_read(request, pk)
    _may_change(request, file.version.entry)
    return file


def own_upload(request: Request, pk: uuid.UUID) -> Upload:
    """An upload of the caller; anybody else's does not exist."""
    rows = Upload.objects.select_related("file__version__entry")
    upload = rows.filter(pk=pk, owner_id=request.user.pk).first() if request.user.is_authenticated else None
    if upload is None:
        raise NotFound("There is no such upload, or it is not yours.")
    return upload


def _may_change(request: Request, entry: Entry) -> None:
    if not queries.may_edit(request.user, entry):
        raise PermissionDenied("Only its owner or a moderator may change this.", code="not-yours")
