"""The short way for programs: straight to the view of their protocol, past what is there for people and their browsers."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.urls import resolve


class ProgramsMiddleware:
    """Leads programs that bring no session straight to their view: what follows here is for people and their browsers.

    Only below addresses whose views turn every error into an answer of their protocol, and say themselves who asks. Without a session
    there is nothing that a foreign page could misuse.
    """

    ADDRESSES = "/api/v1/"
    HEADERS = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Frame-Options": "DENY"}

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(self.ADDRESSES) or settings.SESSION_COOKIE_NAME in request.COOKIES:
            return self.get_response(request)
        request.get_host()  # raises for a name that is not ours, as `CommonMiddleware` does
        request.user = AnonymousUser()
        request.resolver_match = match = resolve(request.path_info)
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        for name, value in self.HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        return response
