"""How every Civitai-shaped route answers: JSON by orjson, errors as `{"error": ...}`, open CORS, and who asks. No route is here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import orjson
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from registry.models import Token, User
from registry.tokentext import PUBLIC_SENTENCE, PUBLIC_TEST

log = logging.getLogger(__name__)
View = Callable[..., HttpResponse]
READING, WRITING = ("GET", "HEAD"), ("POST",)
PRIVATE, PUBLIC = "private, no-store", "public, max-age=0, must-revalidate"
"""Anonymous answers may be kept but must be asked for again: whoever takes a model back takes it back at once."""


class ApiError(Exception):
    """Ends a request with `status` and `{"error": text}`; `more` are further keys of the body, `headers` of the answer."""

    def __init__(self, status: int, text: str, *, more: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.body, self.headers = status, {"error": text, **(more or {})}, headers or {}


def iso(moment: datetime) -> str:
    """2026-11-21T10:00:00.000Z"""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json")


def caller(request: HttpRequest) -> User | None:
    """Who asks: `Authorization` (its second word, whatever the scheme), else `?token=`, else the session. Unknown tokens are nobody's.

    The first that is known counts: a program without a key sends `Bearer None` beside an address that carries one. Raises `ApiError`
    401 for the public test string alone.
    """
    words = request.headers.get("Authorization", "").split()
    for secret in (*words[1:2], request.GET.get("token", "")):
        if secret == PUBLIC_TEST:
            raise ApiError(401, PUBLIC_SENTENCE)
        token = Token.resolve(secret) if secret else None
        if token is not None:
            token.touch()
            return token.owner
    return request.user if request.user.is_authenticated else None  # type: ignore[return-value]


def endpoint(view: View) -> View:
    """Wrap a view `(request, user, ...)` that is read: methods, CORS, the caller, errors and cache headers in one place."""
    return _wrap(view, READING)


def posted(view: View) -> View:
    """As `endpoint`, for what is asked by POST because the question is too long for an address; nothing is changed by it."""
    return _wrap(view, WRITING)


def _wrap(view: View, methods: tuple[str, ...]) -> View:
    allowed = ", ".join((*methods, "OPTIONS"))

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, **arguments: Any) -> HttpResponse:
        user = None
        if request.method == "OPTIONS":
            response = HttpResponse()
        elif request.method not in methods:
            response = answer({"error": "Method not allowed"}, 405)
            response["Allow"] = allowed
        else:
            try:
                user = caller(request)
                response = view(request, user, **arguments)
            except ApiError as error:
                response = answer(error.body, error.status)
                for name, value in error.headers.items():
                    response[name] = value
            except SuspiciousOperation:  # Django's, for more parameters than anybody needs
                response = answer({"error": "This request has too many parameters, or one that cannot be read."}, 400)
            except Exception:
                log.exception("%s failed", request.path)
                response = answer({"error": "An unexpected error occurred. It was noted in the log."}, 500)
        return _with_headers(response, allowed, private=user is not None)

    return wrapped


def _with_headers(response: HttpResponse, allowed: str, *, private: bool) -> HttpResponse:
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = allowed
    response["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Range"
    response["Access-Control-Expose-Headers"] = "Content-Disposition, Content-Length, Content-Range, ETag, Location"
    response.headers.setdefault("Cache-Control", PRIVATE if private else PUBLIC)
    patch_vary_headers(response, ["Authorization", "Cookie"])
    return response
