"""Template tags that bring what people said and kept about a model to its page. Each asks its own few queries."""

from __future__ import annotations

from typing import Any

from django import template

from hub.web import reviews
from hub.web.reviews import Listing
from registry import removals, saving
from registry.models import Entry, Report, Status, Version
from registry.saving import Saved

register = template.Library()


@register.simple_tag(takes_context=True)
def reviews_of(context: dict[str, Any], version: Version | None) -> Listing | None:
    """The newest few reviews of a version that was published; None for drafts and for nothing."""
    if version is None or version.status == Status.DRAFT:
        return None
    return reviews.listing(context["request"].user, version, size=reviews.FEW)


@register.simple_tag
def removal_of(version: Version) -> Report | None:
    """The moderators' decision by which a version was withdrawn; None where its creator withdrew it."""
    return removals.of(version)


@register.simple_tag(takes_context=True)
def saved_of(context: dict[str, Any], entry: Entry) -> Saved:
    """What the visitor, who is signed in, keeps of an entry."""
    return saving.state(context["request"].user, entry)
