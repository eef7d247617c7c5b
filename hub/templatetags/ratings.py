"""The veil over pictures that a visitor wants blurred: decided on the server, so that no sharp picture flashes up before it.

`<div class="art{% veil entry.rating %}"><img ...>{% unveil entry.rating %}</div>`, or the two beside each other in one element. No queries.
"""

from __future__ import annotations

from typing import Any

from django import template

from registry.models import Rating
from registry.ratings import cap, sight_of

register = template.Library()


@register.simple_tag(takes_context=True)
def veil(context: dict[str, Any], rating: Any) -> str:
    """The class that blurs what is in an element, with a space before it; "" where this visitor wants it sharp."""
    return " veiled" if _blurred(context, rating) else ""


@register.inclusion_tag("community/unveil.html", takes_context=True)
def unveil(context: dict[str, Any], rating: Any) -> dict[str, Any]:
    """The button that lifts the veil from one picture; nothing where there is none. A checkbox: it works without a script."""
    blurred = _blurred(context, rating)
    return {"rating": Rating(int(rating)).label if blurred else ""}


@register.simple_tag
def site_cap() -> Rating:
    """The site's cap, above which nothing is shown to anybody but its owner and moderators."""
    return Rating(cap())


def _blurred(context: dict[str, Any], rating: Any) -> bool:
    request = context.get("request")
    return rating in Rating.values and sight_of(getattr(request, "user", None)).blurs(int(rating))
