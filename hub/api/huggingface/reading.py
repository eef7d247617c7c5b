"""Reads the bodies of this protocol's requests within bounds: forms and JSON. Uploads are elsewhere."""

from __future__ import annotations

from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest

from hub.api.huggingface.answers import HubError

MAX_PATHS = 1000


def read_body(request: HttpRequest) -> bytes:
    """The whole body; raises `HubError` 413 beyond `DATA_UPLOAD_MAX_MEMORY_SIZE`."""
    try:
        return request.body
    except RequestDataTooBig:
        raise HubError(413, "The body of this request is too large.") from None


def read_object(request: HttpRequest) -> dict[str, Any]:
    """The body as a JSON object; raises `HubError` 400 for anything else."""
    try:
        found = orjson.loads(read_body(request) or b"{}")
    except orjson.JSONDecodeError:
        raise HubError(400, "The body of this request is not JSON.") from None
    if not isinstance(found, dict):
        raise HubError(400, "The body of this request must be a JSON object.")
    return found


def asked_paths(request: HttpRequest) -> tuple[list[str], bool]:
    """(`paths`, `expand`) of a form, as huggingface_hub sends it, or of JSON, as huggingface.js does."""
    if request.content_type == "application/json":
        found = read_object(request)
        paths, expand = found.get("paths", []), found.get("expand") is True
    else:
        read_body(request)
        try:
            form = request.POST
        except TooManyFieldsSent:
            raise HubError(400, f"At most {MAX_PATHS - 1} paths fit into one question.") from None
        paths, expand = form.getlist("paths"), form.get("expand", "").lower() in {"true", "1"}
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or len(paths) > MAX_PATHS or not all(isinstance(path, str) for path in paths):
        raise HubError(400, f"`paths` must be a list of at most {MAX_PATHS} texts.")
    return paths, expand
