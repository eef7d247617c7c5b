"""The hub's addresses and `/bare`: what Django, its middleware and the server cost before a view does anything."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from hub.urls import urlpatterns as hub_patterns


def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [path("bare", bare), *hub_patterns]
