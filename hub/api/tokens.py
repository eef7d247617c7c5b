"""Bearer token -> user, shared by all protocols. Each protocol decides itself what an unknown token means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from registry.models import Scope, Token, User
from registry.tokentext import PUBLIC_SENTENCE, PUBLIC_TEST

if TYPE_CHECKING:
    from rest_framework.views import APIView  # its import reads the settings that name this module

SAFE = ("GET", "HEAD", "OPTIONS")


def bearer(request: HttpRequest) -> str:
    """The secret of an `Authorization: Bearer ...` header, or ""."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def live_token(request: HttpRequest) -> Token | None:
    """The live token that a request carries in its header, noted as used; None when there is none."""
    secret = bearer(request)
    token = Token.resolve(secret) if secret else None
    if token:
        token.touch()
    return token


class BearerAuthentication(BaseAuthentication):
    """DRF authentication of the own API: a token that is given but not alive is 401, with the reason."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        secret = bearer(request._request)
        if not secret:
            return None
        token = live_token(request._request)
        if token is None:
            if secret == PUBLIC_TEST:
                raise AuthenticationFailed(PUBLIC_SENTENCE, code="token-public-test")
            raise AuthenticationFailed("This token is unknown, expired or revoked. Make a new one on your account page.", code="token")
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class WriteScope(BasePermission):
    """Changing anything needs a token of scope write (or a session); reading is open to all."""

    message = "This token may only read. Make one with the scope write on your account page."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method in SAFE:
            return True
        return not isinstance(request.auth, Token) or request.auth.scope == Scope.WRITE
