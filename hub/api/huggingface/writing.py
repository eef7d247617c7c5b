"""What every writing route shares: a token that may write, bodies that are read to their end, refusals in this protocol's words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache import cache
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse

from hub import limits
from hub.api.errors import TROUBLE
from hub.api.huggingface.answers import HubError, View, endpoint
from hub.api.huggingface.bodies import drop
from hub.api.huggingface.repositories import find_entry
from registry import queries
from registry.formats.errors import FormatError
from registry.models import Entry, User

log = logging.getLogger(__name__)
NO_PULL_REQUESTS = "This hub has no pull requests. Push to a branch of your own: it becomes a draft version."


def writes(*methods: str) -> Callable[[View], View]:
    """Wrap a view `(request, user, ...)` that changes something: `answers.endpoint` for tokens of scope write, with a limit on their rate.

    A `FormatError` becomes a refusal with its sentence; stores that are away become 503, which clients try again.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, user: User, **arguments: Any) -> HttpResponse:
            _slow_down(user)
            return translated(view, request, user, **arguments)

        return _read_to_end(endpoint(*methods, write=True)(checked))

    return decorate


def signed(*methods: str) -> Callable[[View], View]:
    """Wrap a view that needs no token, because its address is signed or it changes nothing."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, user: User | None, **arguments: Any) -> HttpResponse:
            return translated(view, request, user, **arguments)

        return _read_to_end(endpoint(*methods)(checked))

    return decorate


def translated(view: View, request: HttpRequest, *args: Any, **arguments: Any) -> HttpResponse:
    """The view's answer, its errors as `HubError`."""
    try:
        return view(request, *args, **arguments)
    except FormatError as error:
        raise HubError(getattr(error, "status", 400), error.sentence) from None
    except IntegrityError as error:
        log.warning("two writers met: %s", error)
        raise HubError(503, "Something else was written there at the same moment. Try again.", headers={"Retry-After": "2"}) from None
    except TROUBLE as error:
        log.error("a store did not do its part", exc_info=error)
        text = "The hub's database or file store does not answer just now. Nothing was changed by halves; try again in a moment."
        raise HubError(503, text, headers={"Retry-After": "5"}) from None


def _read_to_end(view: View) -> View:
    """Refused or not, the body is taken from the connection, which the client goes on using."""

    @wraps(view)
    def reading(request: HttpRequest, **arguments: Any) -> HttpResponse:
        response = view(request, **arguments)
        if response.status_code >= 400:
            drop(request)
        return response

    reading.csrf_exempt = True  # type: ignore[attr-defined]
    return reading


def _slow_down(user: User) -> None:
    """Raises `HubError` 429 for more than `PUSHED_CHANGES` in `PUSHED_SECONDS`. Without a cache nobody is counted.

    Clients commit in batches of 250 files, so only a runaway loop gets there.
    """
    key = limits.pushed_key(user.pk)
    try:
        cache.add(key, 0, limits.PUSHED_SECONDS)
        count = cache.incr(key)
    except Exception as error:  # whatever a cache's client raises: losing the count may not cost an upload
        log.warning("no cache to count writes in: %s", error)
        return
    if count > limits.PUSHED_CHANGES:
        raise HubError(429, "Too many changes in a short time. Wait a minute.", headers={"Retry-After": "60"})


def entry_to_write(user: User, namespace: str, name: str) -> Entry:
    """Raises `RepoNotFound`, or `HubError` 403 for what the user may only read."""
    entry = find_entry(user, namespace, name)
    if not queries.may_edit(user, entry):
        raise HubError(403, f"Only {namespace} writes to this repository; you may read it.")
    return entry
