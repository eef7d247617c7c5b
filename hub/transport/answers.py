"""A short JSON answer of a transport layer, and the headers that keep any answer with foreign bytes from being rendered."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

NOT_RENDERED = {b"x-content-type-options": b"nosniff", b"content-security-policy": b"sandbox; default-src 'none'"}


async def answer(
    send: Callable[[dict[str, Any]], Awaitable[None]], status: int, body: Mapping[str, Any], headers: Mapping[bytes, bytes] | None = None
) -> None:
    """Send `body` as JSON, never to be cached. `headers` names are lower-case."""
    data = json.dumps(body).encode()
    fixed = {b"content-type": b"application/json", b"content-length": str(len(data)).encode(), b"cache-control": b"no-store"}
    pairs = list({**fixed, **NOT_RENDERED, **(headers or {})}.items())
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": data})
