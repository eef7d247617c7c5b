"""The answer that carries a file of the media store, a rendered picture or a person's image. Who may have it is asked by the caller."""

from __future__ import annotations

from django.core.files.storage import storages
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified

from registry import storage


def answer(request: HttpRequest, name: str, etag: str, content_type: str) -> HttpResponse:
    """The bytes of `name`: by the layer below or nginx from local disk; from S3 through here, because a signed address could be kept for
    hours only.

    Raises OSError, or what S3's client raises, where the store does not have them.
    """
    response = _found(request, name, etag)
    response["ETag"] = etag
    response["Content-Type"] = content_type
    return response


def _found(request: HttpRequest, name: str, etag: str) -> HttpResponse:
    if storage.on_disk("media") is not None:
        if not storages["media"].exists(name):
            raise FileNotFoundError(name)
        response = HttpResponse()
        response["X-Accel-Redirect"] = f"/protected/media/{name}"
        return response
    if etag in request.headers.get("If-None-Match", ""):
        return HttpResponseNotModified()
    with storages["media"].open(name) as file:
        return HttpResponse(file.read())
