"""Takes `//api/v1/...` and `/api/v1/.../` for `/api/v1/...`: some clients join the parts of an address with one slash too many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


BARE = ("/api/v1/", "/api/download/")
"""Routes below these have no slash at their end. Civitai redirects from the longer address; here it answers, which a POST survives too."""


class SingleSlash:
    """ASGI layer: leading slashes of the path become one, and below `BARE` none is at the end. Others are left: they may be data."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("//"):
            scope = {**scope, "path": "/" + scope["path"].lstrip("/")}
            if scope.get("raw_path"):
                scope["raw_path"] = b"/" + scope["raw_path"].lstrip(b"/")
        if scope["type"] == "http" and scope["path"].startswith(BARE) and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/")}
            if scope.get("raw_path"):
                scope["raw_path"] = scope["raw_path"].rstrip(b"/")
        await self.app(scope, receive, send)
