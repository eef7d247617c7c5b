"""Addresses of this protocol's site that people click on: they lead to the model's page. Programs never come here."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_safe


@require_safe
def to_model(request: HttpRequest, namespace: str, name: str, rest: str = "") -> HttpResponse:
    """To the page of the same name, whether or not there is one: that is for the page to say."""
    return HttpResponseRedirect(f"/{namespace}/{name}")
