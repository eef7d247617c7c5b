"""What every request gets: an id that errors and logs carry, and a log that never shows a token."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_SECRET = re.compile(r"(wh_)[A-Za-z0-9_-]{6,}|([?&](?:token|upload)=)[^&\s\"']+|(upload-parts/)[^\s\"']+|(Bearer )\S+")


class RequestIdMiddleware:
    """Sets `request.id`, answers it as `X-Request-Id`, and makes private answers uncacheable."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.id = secrets.token_hex(8)  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-Id"] = request.id  # type: ignore[attr-defined]
        user = getattr(request, "user", None)
        if (user is not None and user.is_authenticated) or "Authorization" in request.headers:
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response


class TokenFilter(logging.Filter):
    """Blanks bearer tokens, `?token=` and the signed addresses of uploads in every log line."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = _SECRET.sub(lambda match: next(group for group in match.groups() if group) + "***", message)
        if clean != message:
            record.msg, record.args = clean, None
        return True
