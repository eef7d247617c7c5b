"""Addresses that bytes are fetched from: the stable one that counts and checks, and the signed one that expires.

Who may have a file is asked before an address is signed; here only what must hold at the moment of sending is asked again.
"""

from __future__ import annotations

import json
import logging
import time
from urllib.parse import quote, urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from registry import names, ratings, staging, storage
from registry.models import CLOSED, File, Status

SALT = "weighhouse.download"
EVERYBODY, OWNER = "everybody", "owner"
"""For whom an address was signed: everybody's dies as soon as the version is no longer public, the owner's does not."""
SANDBOX = "sandbox; default-src 'none'"

log = logging.getLogger(__name__)


def origin_of(request: HttpRequest) -> str:
    """Scheme and host that the client used, without a slash at the end."""
    return f"{request.scheme}://{request.get_host()}"


def download_url(request: HttpRequest, file: File) -> str:
    """The stable absolute address of a file: checked and counted at every use, answered by a redirect to `signed_url`."""
    return f"{origin_of(request)}/api/download/models/{file.version_id}?fileId={file.pk}"


def signed_url(where: HttpRequest | str, file: File, *, name: str | None = None) -> str:
    """Absolute address of a file's bytes for `SIGNED_URL_SECONDS`, which needs no sign-in and saves as `name` (default: the file's).

    `where` is the request or its origin. The query carries `response-content-disposition`, because some clients take the
    name from the redirect without following it. The caller has checked that the asker may have the file.
    """
    origin, method = (where, "GET") if isinstance(where, str) else (origin_of(where), where.method)
    disposition = names.attachment(name or file.name)
    if storage.on_disk() is None:
        return _bucket_url(origin, file, disposition, method or "GET")
    shown = disposition.split('"')[1].replace("/", "_")
    expires, audience = int(time.time()) + settings.SIGNED_URL_SECONDS, EVERYBODY if _open_to_everybody(file) else OWNER
    query = {
        "response-content-disposition": disposition,
        "expires": expires,
        "for": audience,
        "signature": _signature(file.pk, shown, disposition, str(expires), audience),
    }
    return f"{origin}/files/{file.pk}/{quote(shown, safe='')}?{urlencode(query, quote_via=quote)}"


def _bucket_url(origin: str, file: File, disposition: str, method: str) -> str:
    """A presigned address is good for one method: whoever asks by HEAD is sent on to an address for HEAD.

    Where the site itself passes requests on, one for GET is enough: `hub.transport.s3proxy` (or nginx) answers HEAD of it too.
    """
    endpoint = staging.public_endpoint(origin)
    operation = "head_object" if method == "HEAD" and endpoint not in {origin, settings.PUBLIC_URL} else "get_object"
    signer = staging.signer(endpoint)
    params = {
        "Bucket": storage.bucket("models").name,
        "Key": storage.blob_name(file.sha256),
        "ResponseContentDisposition": disposition,
        "ResponseContentType": "application/octet-stream",
    }
    return str(signer.generate_presigned_url(operation, Params=params, ExpiresIn=settings.SIGNED_URL_SECONDS))


def _signature(*parts: object) -> str:
    return salted_hmac(SALT, json.dumps([str(part) for part in parts]), algorithm="sha256").hexdigest()


def _open_to_everybody(file: File) -> bool:
    version = file.version
    shown = version.entry.visibility not in CLOSED and not ratings.above_cap(version.entry.rating)
    return version.status == Status.PUBLISHED and shown


def serve(request: HttpRequest, file_id: int, name: str) -> HttpResponse:
    """GET or HEAD of a signed address: headers only; the layer below Django (or nginx) sends the bytes that they name.

    403 for an address that was changed or has expired, 410 for a file that may no longer be downloaded, whoever asks.
    """
    if request.method == "OPTIONS":  # a page of another origin asks before it sends a token or asks for a range
        return _open_to_pages(HttpResponse())
    if request.method not in {"GET", "HEAD"}:
        return _refuse(405, "Files can only be read: use GET or HEAD.")
    given = [request.GET.get(key, "") for key in ("response-content-disposition", "expires", "for")]
    if not constant_time_compare(_signature(file_id, name, *given), request.GET.get("signature", "")):
        return _refuse(403, "This link was changed on its way. Start the download again from the model's page.")
    disposition, expires, audience = given
    if time.time() > int(expires):
        return _refuse(403, "This link has expired. Start the download again from the model's page.")
    file = File.objects.select_related("blob", "version__entry").filter(pk=file_id).first()
    if file is None or not file.downloadable or file.version.gone or (audience == EVERYBODY and not _open_to_everybody(file)):
        return _refuse(410, "This file may no longer be downloaded.")
    return _open_to_pages(bytes_of(file, disposition))


def bytes_of(file: File, disposition: str) -> HttpResponse:
    """The answer that names a file's bytes on this disk for the layer below; the caller has asked whether they may be had."""
    blob = file.blob
    if blob is None or storage.on_disk() is None or not storage.exists(blob):
        log.error("the bytes of file %s (%s) are not in the store, or not as many as were hashed", file.pk, file.sha256)
        return _refuse(503, "The bytes of this file cannot be read just now. The admin finds the reason in the log.", retry_after=60)
    response = HttpResponse(content_type="application/octet-stream")
    response["X-Accel-Redirect"] = f"/protected/models/{storage.blob_name(blob.sha256)}"
    # Clients read the raw bytes between the quotes; Django would wrap a name beyond Latin-1 into a MIME word.
    response["Content-Disposition"] = disposition.encode().decode("latin-1")
    response["ETag"] = f'"{blob.sha256}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = SANDBOX
    response["Cache-Control"] = "private, no-cache"
    response["Access-Control-Allow-Origin"] = "*"
    return response


def _open_to_pages(response: HttpResponse) -> HttpResponse:
    """Pages of every origin may read the bytes, in ranges, and see name and size."""
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
    response["Access-Control-Allow-Headers"] = "Authorization, Range"
    response["Access-Control-Expose-Headers"] = "Content-Disposition, Content-Length, Content-Range, ETag"
    return response


def _refuse(status: int, sentence: str, *, retry_after: int = 0) -> JsonResponse:
    response = JsonResponse({"error": sentence}, status=status)
    if retry_after:
        response["Retry-After"] = str(retry_after)
    response["Cache-Control"] = "no-store"
    response["Access-Control-Allow-Origin"] = "*"
    return response
