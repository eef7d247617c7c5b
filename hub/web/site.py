"""What every page knows of the site and its visitor: name, theme, content cap. No queries beyond the session's own."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from registry import ratings

THEMES = ("system", "light", "dark")
YEAR = 365 * 24 * 3600


def theme_of(request: HttpRequest) -> str:
    theme = request.COOKIES.get("theme", "")
    return theme if theme in THEMES else "system"


def cap_of(user: Any) -> int:
    """The highest content rating that pages show this visitor."""
    return ratings.sight_of(user).limit


def context(request: HttpRequest) -> dict[str, Any]:
    """Context processor for all templates."""
    return {
        "site_name": "Weighhouse",
        "open_signup": settings.OPEN_SIGNUP,
        "storage_kind": settings.STORAGE_KIND,
        "theme": theme_of(request),
        "request_id": getattr(request, "id", ""),
    }


def back(request: HttpRequest, otherwise: str = "/") -> str:
    """The address of this site that the visitor came from."""
    target = request.POST.get("next") or request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if safe else otherwise


@csrf_exempt  # a stranger could at worst turn the lights on
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or the system's choice in a cookie, so that the server sends the right page and nothing flashes."""
    theme = request.POST.get("theme", "")
    response = HttpResponseRedirect(back(request))
    if theme in THEMES:
        response.set_cookie("theme", theme, max_age=YEAR, samesite="Lax", secure=request.is_secure())
    return response
