"""Sends the texts of a tree: cards, configurations. Browsers show them as plain text and run nothing: anybody may have written them."""

from __future__ import annotations

from mimetypes import guess_type

from django.http import HttpRequest, HttpResponse

from hub import downloads
from hub.transport import ranges
from registry import names
from registry.commits import Row

TYPES = {"json": "application/json", "md": "text/plain", "txt": "text/plain"}


def send(request: HttpRequest, row: Row, content: bytes) -> HttpResponse:
    """`content` of a tree's row, or the range of it that is asked for. Its ETag is git's id of it."""
    etag = f'"{row["oid"]}"'
    asked = {key.encode(): value.encode("latin-1", "replace") for key, value in (("range", request.headers.get("Range", "")),) if value}
    known = request.headers.get("If-None-Match")
    if known:
        asked[b"if-none-match"] = known.encode("latin-1", "replace")
    plan = ranges.answer(asked, len(content), etag.encode(), 0.0)
    body = content[plan.start : plan.start + plan.length]
    response = HttpResponse(body, status=plan.status, content_type=_type(row["path"]))
    for key, value in plan.headers:
        if key != b"last-modified":
            response[key.decode()] = value.decode()
    response["Content-Disposition"] = (
        names.attachment(row["path"].rpartition("/")[2]).encode().decode("latin-1").replace("attachment", "inline", 1)
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = downloads.SANDBOX
    response["Cache-Control"] = "private, no-cache"
    return response


def _type(path: str) -> str:
    kind = TYPES.get(path.rpartition(".")[2].lower())
    if kind is not None:
        return f"{kind}; charset=utf-8"
    guessed = guess_type(path)[0] or ""
    return guessed if guessed in {"image/png", "image/jpeg", "image/webp"} else "text/plain; charset=utf-8"
