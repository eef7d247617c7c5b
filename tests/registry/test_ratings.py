"""Who sees what by its rating: a visitor's own limit and veil, and the site's cap."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from hub.env import RATINGS
from registry import queries, ratings
from registry.models import Rating, User
from registry.models.people import NO_BLUR
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_version

pytestmark = pytest.mark.django_db


def test_the_environment_spells_ratings_as_the_table_does() -> None:
    assert {**{rating.label: rating.value for rating in Rating}, "NONE": NO_BLUR} == RATINGS


def test_strangers_see_what_the_admin_chose(settings: Any) -> None:
    for nobody in (None, AnonymousUser()):
        assert ratings.sight_of(nobody) == ratings.Sight(Rating.PG13, Rating.R)
    settings.STRANGER_RATING, settings.STRANGER_BLUR, settings.MAX_RATING = Rating.XXX, NO_BLUR, Rating.R
    assert ratings.sight_of(None) == ratings.Sight(Rating.R, NO_BLUR)


def test_a_member_chooses_below_the_cap_and_a_moderator_also_above(settings: Any) -> None:
    settings.MAX_RATING = Rating.R
    member = UserFactory(max_rating=Rating.XXX, blur_from=Rating.PG13)
    assert ratings.sight_of(member) == ratings.Sight(Rating.R, Rating.PG13)
    assert ratings.sight_of(UserFactory(max_rating=Rating.XXX, is_moderator=True)).limit == Rating.XXX


@pytest.mark.parametrize(("rating", "fits"), [(Rating.PG, True), (Rating.PG13, True), (Rating.R, False), (Rating.XXX, False)])
def test_cards_show_what_a_stranger_sees_unblurred(rating: int, fits: bool) -> None:
    assert ratings.fit_for_cards(rating) is fits


def test_cards_show_nothing_that_is_blurred_for_strangers(settings: Any) -> None:
    settings.STRANGER_BLUR = Rating.PG
    assert not ratings.fit_for_cards(Rating.PG)


def test_above_the_cap_only_owner_and_moderators_read(creator: User, settings: Any) -> None:
    version = published_version(entry := published_entry(creator, rating=Rating.X))
    other, moderator = UserFactory(max_rating=Rating.XXX), UserFactory(is_moderator=True)
    for cap, seen in ((Rating.X, [True] * 4), (Rating.R, [False, False, True, True])):
        settings.MAX_RATING = cap
        people = (None, other, creator, moderator)
        assert [queries.may_read(user, entry) for user in people] == seen
        assert [queries.may_read_version(user, version) for user in people] == seen
        assert [queries.readable(user).filter(pk=entry.pk).exists() for user in people] == seen
        assert [queries.readable_versions(user).filter(pk=version.pk).exists() for user in people] == seen
        assert queries.listed().filter(pk=entry.pk).exists() is (cap == Rating.X)


def test_without_a_cap_no_condition_is_added() -> None:
    assert not ratings.within_cap()
