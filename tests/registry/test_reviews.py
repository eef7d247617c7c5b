"""Reviews: one a person and version, what they add up to, and who may answer or hide them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from registry import catalog, reviews
from registry.models import Entry, Review, User, UserImage, Version
from tests import toolimages
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_version
from tests.imagerows import shown

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(creator: User) -> Version:
    return published_version(published_entry(creator))


def thumbs(version: Version) -> tuple[int, int]:
    version.refresh_from_db()
    return version.thumbs_up, version.thumbs_down


def test_the_lower_bound_is_wilsons() -> None:
    """As scipy reckons it."""
    from scipy.stats import binomtest

    for up, down in [(1, 0), (10, 0), (90, 10), (0, 5), (1, 1), (7, 90_000)]:
        expected = binomtest(up, up + down).proportion_ci(method="wilson").low
        assert reviews.lower_bound(up, down) == pytest.approx(expected, abs=1e-12)
    assert reviews.lower_bound(0, 0) == 0


def test_many_good_thumbs_stand_above_one(creator: User) -> None:
    assert reviews.lower_bound(1, 0) < reviews.lower_bound(8, 2) < reviews.lower_bound(800, 200)


def test_a_second_review_replaces_the_first(version: Version) -> None:
    reader = UserFactory()
    first = reviews.give(reader, version, positive=True, text="Fine lines.")
    again = reviews.give(reader, version, positive=False, text="")
    assert (again.pk, again.positive, again.text) == (first.pk, False, "")
    assert again.changed_at is not None
    assert thumbs(version) == (0, 1)


def test_taking_it_back_leaves_nothing(version: Version) -> None:
    reader = UserFactory()
    reviews.give(reader, version, positive=True)
    assert reviews.take_back(reader, version)
    assert not reviews.take_back(reader, version)
    assert thumbs(version) == (0, 0)
    assert Entry.objects.get().approval == 0


def test_an_entry_is_weighed_by_its_published_versions_alone(version: Version) -> None:
    entry, second = version.entry, published_version(version.entry)
    for one, positive in ((version, True), (second, True), (second, False)):
        reviews.give(UserFactory(), one, positive=positive)
    entry.refresh_from_db()
    assert (entry.thumbs_up, entry.thumbs_down, entry.approval) == (2, 1, reviews.lower_bound(2, 1))
    catalog.withdraw(second)
    entry.refresh_from_db()
    assert (entry.thumbs_up, entry.thumbs_down, entry.approval) == (1, 0, reviews.lower_bound(1, 0))


def test_nobody_reviews_their_own_model_a_draft_or_what_is_gone(version: Version) -> None:
    draft = Version.objects.create(entry=version.entry, name="v2", base_model="SD 1.5")
    catalog.withdraw(withdrawn := published_version(version.entry))
    for user, where in ((version.entry.owner, version), (UserFactory(), draft), (UserFactory(), withdrawn)):
        with pytest.raises(reviews.NoReview) as refused:
            reviews.give(user, where, positive=True)
        assert refused.value.status == 403
    assert not Review.objects.exists()


def test_a_text_over_the_limit_is_refused(version: Version) -> None:
    with pytest.raises(reviews.NoReview, match="5000"):
        reviews.give(UserFactory(), version, positive=True, text="a" * 5001)


def test_the_creator_answers_once(version: Version) -> None:
    review = reviews.give(UserFactory(), version, positive=False, text="Blurred.")
    with pytest.raises(reviews.NoReview):
        reviews.answer(UserFactory(), review, "I am somebody else.")
    assert reviews.answer(version.entry.owner, review, " Try 30 steps. ").answer == "Try 30 steps."
    with pytest.raises(reviews.NoReview, match="already"):
        reviews.answer(version.entry.owner, review, "And another word.")


def test_a_hidden_review_counts_no_more_and_only_its_author_and_moderators_read_it(version: Version) -> None:
    author, moderator = UserFactory(), UserFactory(is_moderator=True)
    review = reviews.give(author, version, positive=False, text="Rude.")
    with pytest.raises(reviews.NoReview):
        reviews.hide(version.entry.owner, review, "I do not like it")
    with pytest.raises(reviews.NoReview, match="reason"):
        reviews.hide(moderator, review, " ")
    reviews.hide(moderator, review, "It insults its creator.")
    assert thumbs(version) == (0, 0)
    assert [reviews.shown(version, who).count() for who in (None, UserFactory(), version.entry.owner)] == [0, 0, 0]
    assert [reviews.shown(version, who).get().hidden_reason for who in (author, moderator)] == ["It insults its creator."] * 2
    reviews.give(author, version, positive=False, text="Rude again.")
    assert not reviews.take_back(author, version)
    assert reviews.shown(version, None).count() == 0
    reviews.show_again(moderator, review)
    assert thumbs(version) == (0, 1)


def test_both_orders_meet_every_review_once(version: Version) -> None:
    for positive in (True, False, False, True, True):
        reviews.give(UserFactory(), version, positive=positive)
    found = reviews.shown(version, None)
    for order in (reviews.newest_first, reviews.best_first):
        met: list[Review] = []
        while page := list(order(found, (int(met[-1].positive), met[-1].pk) if met else None)[:2]):
            met += page
        assert met == list(order(found, None))
        assert len({review.pk for review in met}) == 5


def test_a_picture_is_ones_own_of_the_same_version(version: Version) -> None:
    reader = UserFactory()
    own, others = shown(reader, version), shown(UserFactory(), version)
    elsewhere, hidden = shown(reader, published_version(version.entry)), shown(reader, version, toolimages.png({"parameters": "a shore"}))
    UserImage.objects.filter(pk=hidden.pk).update(hidden_at=timezone.now())
    for image in (others, elsewhere, hidden):
        with pytest.raises(reviews.NoReview, match="attached to this version"):
            reviews.give(reader, version, positive=True, image=image)
    assert reviews.give(reader, version, positive=True, image=own).image == own
    own.delete()
    assert Review.objects.get().image is None
