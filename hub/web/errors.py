"""The pages for when something is wrong: each says what, gives the request's id and one next step. Never a stack trace."""

from __future__ import annotations

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

PAGES = {
    400: (
        gettext_lazy("This request cannot be read"),
        gettext_lazy("Something in the address or the form is malformed. Go back and try again."),
    ),
    403: (
        gettext_lazy("You may not do this"),
        gettext_lazy("You are signed in as somebody who may not, or the page was open too long. Sign in again or ask its owner."),
    ),
    404: (
        gettext_lazy("There is nothing here"),
        gettext_lazy("The address is wrong, the model is private, or it was never published. Search for it instead."),
    ),
    500: (
        gettext_lazy("Something broke on our side"),
        gettext_lazy("It was written down under the number below. Try again in a moment, or give the number to the admin."),
    ),
}


def _page(request: HttpRequest, status: int, detail: str = "") -> HttpResponse:
    title, sentence = PAGES[status]
    if request.path.startswith("/api/"):
        return JsonResponse({"error": str(detail or sentence), "code": f"http-{status}"}, status=status)
    context = {"status": status, "title": title, "sentence": detail or sentence, "request_id": getattr(request, "id", "")}
    return render(request, "errors/error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    strange = _("The hub does not answer to this host name. Its admin lets it do so with WEIGH_ALLOWED_HOSTS.")
    return _page(request, 400, strange if isinstance(exception, DisallowedHost) else "")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 403, str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 404)


def broken(request: HttpRequest) -> HttpResponse:
    return _page(request, 500)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: the usual cause is a page that was left open over a sign-out."""
    return _page(request, 403, _("This page was open too long, or cookies are blocked. Reload it and send the form again."))
