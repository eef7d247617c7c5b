"""What a visitor sees of rated pictures and models: what is hidden, what is blurred, and what this hub shows to nobody.

Three limits, each of a value of `Rating`. The site's cap, set by the admin: above it only owners and moderators see a thing, everybody else
is told that it does not exist, by pages and programs alike. A visitor's own limit: above it pages show nothing. And where blurring begins.
Programs ask for ratings in their own words and are bound by the cap alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q

from registry.models.people import NO_BLUR, Rating


@dataclass(frozen=True, slots=True)
class Sight:
    """What one visitor sees: up to `limit`; from `blur_from` on under a veil that they can lift."""

    limit: int
    blur_from: int = NO_BLUR

    def hides(self, rating: int) -> bool:
        return rating > self.limit

    def blurs(self, rating: int) -> bool:
        return rating >= self.blur_from


def cap() -> int:
    """The site's: nothing rated above it is shown to anybody but its owner and moderators (`WEIGH_MAX_RATING`)."""
    return int(settings.MAX_RATING)


def above_cap(rating: int) -> bool:
    return rating > cap()


def within_cap(prefix: str = "") -> Q:
    """The condition that an entry may be shown by its rating; `prefix` leads to the entry, as `version__entry__`. Empty without a cap."""
    return Q(**{f"{prefix}rating__lte": cap()}) if cap() < Rating.XXX else Q()


def sight_of(user: Any) -> Sight:
    """By a member's settings, or what the admin chose for visitors without an account. Only moderators' limit may lie above the cap."""
    if not user or not user.is_authenticated:
        return Sight(min(settings.STRANGER_RATING, cap()), settings.STRANGER_BLUR)
    return Sight(user.max_rating if user.moderates else min(user.max_rating, cap()), user.blur_from)


def fit_for_cards(rating: int) -> bool:
    """Whether a picture may stand in what other sites show of ours: they ask without an account, and cannot blur."""
    stranger = sight_of(None)
    return not stranger.hides(rating) and not stranger.blurs(rating)
