"""The API's own description: the OpenAPI schema, and a page to read and try it in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from drf_spectacular.extensions import OpenApiAuthenticationExtension

PREFIX = "/api/hub/"


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a token is sent, in the schema's words."""

    target_class = "hub.api.tokens.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "Made on the account page, or by `./weigh manage create_token`."}


def only_ours(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Preprocessing hook: other protocols are described by whoever defined them."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(PREFIX)]


def page(request: HttpRequest) -> HttpResponse:
    """Swagger UI over the own schema, or with `?of=civitai` over that door's document; from our own files."""
    civitai = request.GET.get("of") == "civitai"
    return render(request, "api/docs.html", {"civitai": civitai, "schema": reverse("civitai-openapi" if civitai else "api-schema")})
