"""Who asks for pages in tests: Django's client with somebody's session. For tests that need no browser."""

from __future__ import annotations

from typing import Any

from django.test import Client


def signed_in(user: Any, **how: Any) -> Client:
    """A client of its own for this user; `how` is for the client."""
    client = Client(**how)
    client.force_login(user)
    return client
