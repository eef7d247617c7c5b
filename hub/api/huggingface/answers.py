"""How every route of this protocol answers: JSON, errors in headers and body, who asks, caching. No route is here.

Clients read `X-Error-Code` and `X-Error-Message` before they look at a body: huggingface_hub/utils/_http.py, hf_raise_for_status.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from hub.downloads import origin_of
from registry.models import Scope, Token, User
from registry.tokentext import PUBLIC_SENTENCE, PUBLIC_TEST

log = logging.getLogger(__name__)
View = Callable[..., HttpResponse]
PRIVATE, PUBLIC = "private, no-store", "public, max-age=0, must-revalidate"
EXPOSED = "X-Error-Code, X-Error-Message, X-HF-Warning, X-Linked-Etag, X-Linked-Size, X-Repo-Commit, X-Request-Id, ETag, Link, Location"
INVALID = "Invalid credentials in Authorization header"
"""Clients look for exactly these words."""


class HubError(Exception):
    """Ends a request with `status`, `X-Error-Code: code` and the sentence in `X-Error-Message` and the body."""

    def __init__(self, status: int, sentence: str, code: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.code, self.headers = status, sentence, code, headers or {}


class RepoNotFound(HubError):
    """Missing, or not this caller's to see: nobody can tell which."""

    def __init__(self, user: User | None) -> None:
        super().__init__(404 if user else 401, "Repository not found", "RepoNotFound")


class RevisionNotFound(HubError):
    def __init__(self, revision: str) -> None:
        super().__init__(404, f"Invalid rev id: {revision[:100]}", "RevisionNotFound")


class EntryNotFound(HubError):
    """`sha` is the commit in which it was looked for: with it clients remember that there is no such file."""

    def __init__(self, sha: str) -> None:
        super().__init__(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": sha})


class NothingYet(HubError):
    """A file of a repository that was made and has no tree yet. Clients look for a card before they push one."""

    def __init__(self) -> None:
        super().__init__(404, "Entry not found: nothing was uploaded to this repository yet", "EntryNotFound")


class Withheld(HubError):
    """A file that exists and may not be fetched. Of all refusals only this code's message is shown to people by every client."""

    def __init__(self, sentence: str, sha: str = "") -> None:
        super().__init__(403, sentence, "GatedRepo", {"X-Repo-Commit": sha} if sha else {})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: by token, by the session of the pages (`token` is None then), or nobody."""

    user: User | None
    token: Token | None = None


def iso(moment: datetime) -> str:
    """2026-11-21T10:00:00.000Z"""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json")


def is_true(request: HttpRequest, name: str) -> bool:
    """A boolean of the query: clients send true, True or 1."""
    return request.GET.get(name, "").lower() in {"true", "1"}


def with_next(response: HttpResponse, request: HttpRequest, path: str, **changes: Any) -> HttpResponse:
    """`response` with the address of the next page, which clients follow: the same question at `path`, with `changes`."""
    query = request.GET.copy()
    for key, value in changes.items():
        query[key] = str(value)
    response["Link"] = f'<{origin_of(request)}{path}?{urlencode(list(query.lists()), doseq=True)}>; rel="next"'
    return response


def caller_of(request: HttpRequest) -> Caller:
    """Raises `HubError` 401 for a token that is not alive: an upload that goes on as nobody would only fail later."""
    secret = _secret(request.headers.get("Authorization", ""))
    if not secret:
        return Caller(request.user if request.user.is_authenticated else None)  # type: ignore[arg-type]
    token = Token.resolve(secret)
    if token is None:
        raise HubError(401, PUBLIC_SENTENCE if secret == PUBLIC_TEST else INVALID)
    token.touch()
    return Caller(token.owner, token)


def _secret(header: str) -> str:
    """The token of a header: after Bearer, or as the password of Basic (git and git-lfs)."""
    scheme, _, given = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return given.strip() or scheme
    try:
        return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2] or "none"
    except (binascii.Error, UnicodeDecodeError):
        return "none"


def endpoint(*methods: str, write: bool = False) -> Callable[[View], View]:
    """Wrap a view `(request, user, ...)`. `write`: only by a token that may write; sessions never, because other sites could use them."""
    allowed = (*methods, "HEAD") if "GET" in methods else methods

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def wrapped(request: HttpRequest, **arguments: Any) -> HttpResponse:
            user = None
            try:
                if request.method == "OPTIONS":
                    return _finished(HttpResponse(), allowed, private=False)
                if request.method not in allowed:
                    raise HubError(405, "Method not allowed", headers={"Allow": ", ".join(allowed)})
                caller = caller_of(request)
                user = caller.user
                if write:
                    _may_write(caller)
                if "\0" in request.path:
                    raise HubError(404, "Not found")
                response = view(request, user, **arguments)
            except HubError as error:
                response = refusal(error)
            except Exception:
                log.exception("%s failed", request.path)
                response = refusal(HubError(500, "An unexpected error occurred. It was noted in the log.", "InternalError"))
            return _finished(response, allowed, private=user is not None)

        return wrapped

    return decorate


def _may_write(caller: Caller) -> None:
    if caller.token is None:
        raise HubError(401, "Send a token of scope write: `Authorization: Bearer wh_...`. It is made on your account page.")
    if caller.token.scope != Scope.WRITE:
        raise HubError(403, "This token may only read. Make one with the scope write on your account page.")


def refusal(error: HubError) -> HttpResponse:
    """The answer that an error means. A header holds one line of Latin-1; the body says the sentence as it is."""
    response = answer({"error": error.sentence}, error.status)
    response["X-Error-Message"] = " ".join(error.sentence.split()).encode("ascii", "replace").decode()[:1000]
    if error.code:
        response["X-Error-Code"] = error.code
    for name, value in error.headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response


def _finished(response: HttpResponse, methods: tuple[str, ...], *, private: bool) -> HttpResponse:
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = ", ".join((*methods, "OPTIONS"))
    response["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Range"
    response["Access-Control-Expose-Headers"] = EXPOSED
    response.headers.setdefault("Cache-Control", PRIVATE if private else PUBLIC)
    patch_vary_headers(response, ["Authorization", "Cookie"])
    return response
