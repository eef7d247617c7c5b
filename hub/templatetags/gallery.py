"""A template tag that brings people's images to the page of a model. One query."""

from __future__ import annotations

from typing import Any

from django import template

from hub.web import imagepage
from registry import images
from registry.models import Entry, Version

register = template.Library()


@register.simple_tag(takes_context=True)
def gallery_of(context: dict[str, Any], entry: Entry, versions: list[Version], version: Version | None) -> dict[str, Any]:
    """{"gallery": the newest few images of all versions, "attachable": whether this visitor may add some to `version`}."""
    user = context["request"].user
    found = imagepage.gallery(user, entry, versions, imagepage.Choice(), None, imagepage.FEW)
    return {"gallery": found, "attachable": version is not None and images.attachable(user, version)}
