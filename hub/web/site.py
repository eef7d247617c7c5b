"""What every page knows of the site: its name, the signed-in person's rights. No queries beyond the session's own."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def context(request: HttpRequest) -> dict[str, Any]:
    """Context processor for all templates."""
    return {"site_name": "Weighhouse", "open_signup": settings.OPEN_SIGNUP, "storage_kind": settings.STORAGE_KIND}
