"""Reads what clients send, within bounds: a JSON object, or JSON line by line from the stream. What it means is for the views.

A body that is refused is read to its end up to `MOST_DROPPED`, because clients see no answer while they send.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from django.http import HttpRequest

from hub.api.huggingface.answers import HubError

BLOCK = 64 * 2**10
MAX_JSON = 2 * 2**20
"""Bytes of a JSON body; 256 files with samples of 512 bytes are 300 kB, the ETags of 9,000 parts 700 kB."""
MOST_DROPPED = 64 * 2**20


def drop(request: HttpRequest) -> None:
    """Read and forget what is left of a body."""
    left = MOST_DROPPED
    try:
        while left > 0 and (block := request.read(BLOCK)):
            left -= len(block)
    except OSError:  # the client hung up
        return


def json_body(request: HttpRequest, limit: int = MAX_JSON) -> dict[str, Any]:
    """The JSON object of a request, {} where it has no body. Raises `HubError` 400 or 413."""
    if _length(request) > limit:
        raise HubError(413, f"The JSON of this request may have {limit:,} bytes.")
    data = request.read(limit + 1)
    if not data:
        return {}
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise HubError(400, "The body of this request is not JSON.") from None
    if not isinstance(found, dict):
        raise HubError(400, "The body of this request must be a JSON object.")
    return found


def _length(request: HttpRequest) -> int:
    """Bytes that the client announces; 0 for none. Raises `HubError` 411 where it does not say how many it sends."""
    if request.headers.get("Transfer-Encoding"):
        raise HubError(411, "Send the length of the body: Content-Length is missing.")
    given = request.headers.get("Content-Length") or "0"
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else 0


def json_lines(request: HttpRequest, *, most_bytes: int, most_lines: int, longest: int) -> Iterator[dict[str, Any]]:
    """The objects of an NDJSON body one by one; no more than one line of `longest` bytes is held. Raises `HubError` 400 or 413."""
    if _length(request) > most_bytes:
        raise HubError(413, f"A commit may have {most_bytes:,} bytes beside its large files. Split it into several.")
    count = 0
    for line in _lines(request, longest):
        count += 1  # empty ones too: a body of nothing else would keep us counting for a long time
        if count > most_lines:
            raise HubError(413, f"A commit may have {most_lines:,} operations. Split it into several.")
        if not line.strip():
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise HubError(400, f"Line {count} of the commit is not JSON.") from None
        if not isinstance(found, dict) or not isinstance(found.get("value"), dict):
            raise HubError(400, f'Line {count} of the commit must be {{"key": ..., "value": {{...}}}}.')
        yield found


def _lines(request: HttpRequest, longest: int) -> Iterator[bytes]:
    held = bytearray()
    while block := request.read(BLOCK):
        *whole, rest = block.split(b"\n")
        for piece in whole:
            held += piece
            yield bytes(held)
            held.clear()
        held += rest
        if len(held) > longest:
            raise HubError(413, f"A line of a commit may have {longest:,} bytes: files that are larger go by the large file protocol.")
    yield bytes(held)


def text_of(fields: dict[str, Any], name: str, limit: int, default: str | None = None) -> str:
    """A text field of a JSON object. Raises `HubError` 400 where it is missing (without `default`), no text, or too long."""
    value = fields.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or len(value) > limit or "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise HubError(400, f"{name} must be a text of at most {limit} characters.")
    return value
