"""Which language a page is in: the visitor's choice, else what the browser asks for. Programs are always answered in English."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from hub.web.site import YEAR, back

PROGRAMS = ("/api/", "/healthz")
"""Below these, answers are for programs, which compare sentences: no header of a browser may change them."""


class PagesLocaleMiddleware(LocaleMiddleware):
    """Django's, for pages only: what is not HTML carries no `Vary: Accept-Language`, so that caches keep one copy of it."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith(PROGRAMS) or not _by_a_browser(request):
            translation.activate(settings.LANGUAGE_CODE)
            request.LANGUAGE_CODE = settings.LANGUAGE_CODE
            return
        super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if not response.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


def _by_a_browser(request: HttpRequest) -> bool:
    """A page is asked for, or a part of one by its own scripts; programs send neither of these headers."""
    headers = request.headers
    return "text/html" in headers.get("Accept", "text/html") or "HX-Request" in headers or "Sec-Fetch-Mode" in headers


@csrf_exempt  # a stranger could at worst change the words
@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Remember a language in a cookie; one that the hub does not have changes nothing."""
    response = HttpResponseRedirect(back(request))
    code = request.POST.get("language", "")
    if code in dict(settings.LANGUAGES):
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, code, max_age=YEAR, samesite="Lax", secure=request.is_secure())
    return response
