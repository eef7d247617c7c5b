"""What all views of this API share: who may call, what they parse, how their errors read."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.views import APIView

from hub.api.hub.answers import Problem
from hub.api.hub.parsing import PlainJSONParser, Strict
from hub.api.tokens import WriteScope


class HubView(APIView):
    """Reading is open to all who may see a thing, changing needs a person and a token that may write."""

    permission_classes = [IsAuthenticatedOrReadOnly, WriteScope]
    parser_classes = [PlainJSONParser]

    @property
    def context(self) -> dict[str, Any]:
        return {"request": self.request}


class OwnView(HubView):
    """Only for people who are signed in, reading too."""

    permission_classes = [IsAuthenticated, WriteScope]


def checked(serializer: type[Strict], request: Request, *, partial: bool = False) -> dict[str, Any]:
    """The request's body, validated. Raises `ValidationError`."""
    form = serializer(data=request.data, partial=partial)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def problems(*statuses: int) -> dict[int, OpenApiResponse]:
    """The errors of an operation, for its schema."""
    return {status: OpenApiResponse(Problem, description=SAYS[status]) for status in statuses}


CHANGE = (400, 401, 403, 404, 410)
"""What may go wrong with most changes."""
SAYS = {
    400: "A field is wrong or unknown.",
    401: "No token, or it is unknown, expired or revoked.",
    403: "The token may only read, or this belongs to somebody else.",
    404: "It does not exist, or is not yours to see.",
    409: "Not possible in its present state.",
    410: "It was deleted or has expired.",
    413: "Too large for this hub or for your quota.",
    429: "You have too many of these waiting or running already.",
    507: "The hub's disk is full.",
}


def nothing_here(request: HttpRequest, **_: Any) -> JsonResponse:
    """404 in this API's own shape, for every path that it does not have."""
    return JsonResponse({"error": "The API has no such address. See /api/hub/docs/.", "code": "not_found"}, status=404)
