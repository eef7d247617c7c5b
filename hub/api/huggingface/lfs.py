"""Large files by git-lfs's batch protocol with Hugging Face's multipart transfer: where parts go, what is complete, what is here.

Source: git-lfs, docs/api/batch.md; huggingface_hub, lfs.py. Bytes that arrive here belong to no file until a commit names them.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from hub.api.huggingface.answers import HubError, RevisionNotFound, answer
from hub.api.huggingface.bodies import json_body, text_of
from hub.api.huggingface.committing import version_to_write
from hub.api.huggingface.operations import DIGEST
from hub.api.huggingface.writing import entry_to_write, signed, writes
from hub.downloads import origin_of
from registry import commits, incoming, uploads
from registry.formats.errors import FormatError
from registry.lifecycle import FileState
from registry.models import Upload, User, Version

SALT = "weighhouse.lfs"
MEDIA_TYPE = "application/vnd.git-lfs+json"
MAX_OBJECTS = 256
"""As many as clients ask for at a time (git-lfs: 100); each may be a new upload."""


@writes("POST")
def batch(request: HttpRequest, user: User, namespace: str, name: str) -> HttpResponse:
    """POST /{R}.git/info/lfs/objects/batch"""
    entry = entry_to_write(user, namespace, name)
    fields = json_body(request)
    if fields.get("operation") != "upload":
        raise HubError(400, "git itself is not spoken here: fetch files with hf download, or from the model's page.")
    objects = fields.get("objects")
    if not isinstance(objects, list) or len(objects) > MAX_OBJECTS:
        raise HubError(400, f"objects must be a list of at most {MAX_OBJECTS:,}.")
    ref = fields.get("ref")
    version = version_to_write(entry, user, text_of(ref, "name", 200, commits.MAIN) if isinstance(ref, dict) else commits.MAIN, make=True)
    if version is None:
        raise RevisionNotFound(commits.MAIN)
    origin = origin_of(request)
    told = dict.fromkeys(map(_asked, objects))  # once each: an upload of 50 GiB has thousands of addresses
    response = answer({"transfer": "multipart", "objects": [_object(version, user, oid, size, origin) for oid, size in told]})
    response["Content-Type"] = MEDIA_TYPE
    return response


def _asked(given: Any) -> tuple[str, int]:
    """(SHA-256, size in bytes)"""
    oid, size = (given.get("oid"), given.get("size")) if isinstance(given, dict) else (None, None)
    if not isinstance(oid, str) or not DIGEST.fullmatch(oid) or type(size) is not int or not 0 <= size < 2**63:
        raise HubError(400, "An object needs oid, its SHA-256 in lower-case hexadecimal digits, and size in bytes.")
    return oid, size


def _object(version: Version, user: User, oid: str, size: int, origin: str) -> dict[str, Any]:
    """What is to be done with one object. What is wrong with it is told beside it, so that the others go on."""
    try:
        upload = incoming.expect(version, user, oid, size)
        actions = {"actions": _actions(upload, origin)} if upload else {}
    except FormatError as error:
        return {"oid": oid, "size": size, "error": {"code": getattr(error, "status", 422), "message": error.sentence}}
    return {"oid": oid, "size": size, "authenticated": True, **actions}


def _actions(upload: Upload, origin: str) -> dict[str, Any]:
    """Part size and a signed address for each part; one that completes the upload, signed too, because clients send it no token."""
    parts = uploads.part_urls(upload, list(range(1, upload.part_count + 1)), origin)
    header = {"chunk_size": str(upload.part_size_bytes), **{str(part["number"]): part["url"] for part in parts}}
    token = signing.dumps(upload.pk.hex, salt=SALT, compress=True)
    complete = {"href": f"{origin}/_lfs/complete?upload={token}", "header": header, "expires_in": settings.SIGNED_URL_SECONDS}
    return {"upload": complete, "verify": {"href": f"{origin}/_lfs/verify"}}


@signed("POST")
def complete(request: HttpRequest, user: User | None) -> HttpResponse:
    """POST /_lfs/complete?upload=...: every part was sent. The bytes are closed and wait for the commit that names them."""
    try:
        pk = signing.loads(request.GET.get("upload", ""), salt=SALT, max_age=settings.SIGNED_URL_SECONDS)
    except signing.BadSignature:
        raise HubError(403, "This address was changed on its way or has expired. Begin the upload again.") from None
    upload = Upload.objects.select_related("file").filter(pk=pk).first()
    if upload is None:
        raise HubError(404, "This upload was given up. Begin it again.")
    fields = json_body(request)
    if fields.get("oid", upload.file.declared_sha256) != upload.file.declared_sha256:
        raise HubError(400, "This address completes the upload of another file.")
    if upload.completed_at is None and upload.file.state == FileState.UPLOADING:
        uploads.close(upload, _etags(fields.get("parts", [])))
    return answer({"success": True})


def _etags(parts: Any) -> dict[int, str]:
    if not isinstance(parts, list) or len(parts) > uploads.MAX_PARTS:
        raise HubError(400, "parts must be a list of {partNumber, etag}.")
    found = {}
    for part in parts:
        number, etag = (part.get("partNumber"), part.get("etag")) if isinstance(part, dict) else (None, None)
        if type(number) is not int or not isinstance(etag, str):
            raise HubError(400, "parts must be a list of {partNumber, etag}.")
        found[number] = etag.removeprefix("W/").strip('"')
    return found


@writes("POST")
def verify(request: HttpRequest, user: User) -> HttpResponse:
    """POST /_lfs/verify: whether these bytes arrived whole."""
    fields = json_body(request)
    oid, size = text_of(fields, "oid", 64), fields.get("size")
    if not DIGEST.fullmatch(oid) or type(size) is not int or not incoming.arrived(user, oid, size):
        raise HubError(404, "These bytes have not arrived. Upload them again.")
    return answer({})
