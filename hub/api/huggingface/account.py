"""GET /api/whoami-v2: who a token belongs to. Signing in is the pages' business."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from hub.api.huggingface.answers import HubError, answer, caller_of, endpoint, iso
from registry.models import User


@endpoint("GET")
def whoami(request: HttpRequest, user: User | None) -> HttpResponse:
    """The user, no organisations (the hub has none), and the token by its name and what it may do."""
    token = caller_of(request).token
    if user is None or token is None:
        raise HubError(401, "Send a token: `Authorization: Bearer wh_...`. It is made on your account page.")
    shown = {"displayName": token.name, "role": token.scope, "createdAt": iso(token.created_at)}
    return answer(
        {
            "type": "user",
            "id": f"{user.pk:024x}",
            "name": user.username,
            "fullname": user.get_full_name() or user.username,
            "email": user.email,
            "emailVerified": False,
            "canPay": False,
            "isPro": False,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": shown},
        }
    )
