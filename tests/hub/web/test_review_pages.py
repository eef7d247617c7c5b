"""Pages of reviews: who may say what where, paging, hostile words, and what it costs."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hub import pace
from registry import reviews
from registry.models import Review, User, UserImage, Version
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_version
from tests.hub.web.visitors import signed_in
from tests.imagerows import shown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("counted_alone")]
HOSTILE = '<script>alert(1)</script> [x](javascript:alert(2)) <img src=x onerror=alert(3)> \u202eesrever "quoted"'


@pytest.fixture
def version(creator: User) -> Version:
    return published_version(published_entry(creator))


def test_a_member_says_changes_and_deletes_what_they_think(version: Version) -> None:
    reader, address = UserFactory(), f"/model-versions/{version.pk}/reviews"
    client = signed_in(reader)
    page = client.post(address, {"positive": "1", "text": "*Fine* lines"}, follow=True).content.decode()
    assert "<em>Fine</em> lines" in page
    assert "100 % recommend it" in page
    client.post(address, {"positive": "0", "text": ""})
    assert [review.positive for review in Review.objects.all()] == [False]
    model = Client().get(f"/{version.entry.owner.username}/{version.entry.slug}").content.decode()
    assert "0 % recommend it" in model
    client.post(f"{address}/delete")
    assert not Review.objects.exists()


def test_a_form_that_is_wrong_keeps_what_was_typed(version: Version) -> None:
    answer = signed_in(UserFactory()).post(f"/model-versions/{version.pk}/reviews", {"text": "I forgot the thumb"})
    assert answer.status_code == 422
    assert "I forgot the thumb" in answer.content.decode()
    answer = signed_in(UserFactory()).post(f"/model-versions/{version.pk}/reviews", {"positive": "1", "text": "a" * 5001})
    assert answer.status_code == 422


def test_hostile_words_come_out_as_words(version: Version) -> None:
    """In the review, the answer, and the reason for hiding."""
    author, moderator = UserFactory(), UserFactory(is_moderator=True)
    review = reviews.give(author, version, positive=True, text=HOSTILE)
    signed_in(version.entry.owner).post(f"/reviews/{review.pk}/answer", {"text": HOSTILE})
    signed_in(moderator).post(f"/reviews/{review.pk}/hide", {"reason": HOSTILE})
    page = signed_in(author).get(f"/model-versions/{version.pk}/reviews").content.decode()
    shown = page[page.index('class="reviews"') :]
    assert shown.count("alert(1)") == 3
    assert "<script>alert" not in page
    assert 'href="javascript' not in page
    assert "<img src=x" not in page
    assert "\u202e" not in shown


def test_the_creator_answers_and_a_moderator_hides_with_a_reason(version: Version) -> None:
    author, moderator = UserFactory(), UserFactory(is_moderator=True)
    review = reviews.give(author, version, positive=False, text="It is all blurred.")
    signed_in(version.entry.owner).post(f"/reviews/{review.pk}/answer", {"text": "Try 30 steps."})
    address = f"/model-versions/{version.pk}/reviews"
    assert "Try 30 steps." in Client().get(address).content.decode()
    signed_in(moderator).post(f"/reviews/{review.pk}/hide", {"reason": "It insults its creator."})
    assert "It is all blurred." not in Client().get(address).content.decode()
    assert "It insults its creator." in signed_in(author).get(address).content.decode()
    assert "0 % recommend it" not in Client().get(address).content.decode()
    signed_in(moderator).post(f"/reviews/{review.pk}/hide", {"again": "1"})
    assert "It is all blurred." in Client().get(address).content.decode()


def test_paging_meets_every_review_once(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        reviews.give(UserFactory(), version, positive=number % 2 == 0, text=f"word{number}word")
    monkeypatch.setattr("hub.web.reviews.PAGE", 2)
    monkeypatch.setattr("hub.web.reviews.listing.__kwdefaults__", {"order": "newest", "after": "", "size": 2})
    for order, expected in (("newest", [4, 3, 2, 1, 0]), ("positive", [4, 2, 0, 3, 1])):
        address, met = f"/model-versions/{version.pk}/reviews?order={order}", []
        while address:
            page = Client().get(address).content.decode()
            met += [int(piece[0]) for piece in page.split("<p>word")[1:]]
            _, _, rest = page.partition('rel="next" href="')
            address = rest.partition("#")[0].replace("&amp;", "&")
        assert met == expected


@pytest.mark.parametrize("after", ["2-1", "1-x", "\x00", "1-" + "9" * 40, "-", "1-\u0661"])
def test_a_cursor_that_nobody_gave_out_is_the_beginning(version: Version, after: str) -> None:
    reviews.give(UserFactory(), version, positive=True, text="wordword")
    assert "wordword" in Client().get(f"/model-versions/{version.pk}/reviews", {"after": after}).content.decode()


def test_a_list_costs_the_same_however_long_it_is(version: Version) -> None:
    reader = signed_in(UserFactory())
    costs = []
    for more in (2, 8):
        for _ in range(more):
            reviews.give(UserFactory(), version, positive=True, text="Good.")
        with CaptureQueriesContext(
            connection,
        ) as found:
            reader.get(f"/model-versions/{version.pk}/reviews")
        costs.append(len(found))
    assert costs[0] == costs[1] <= 6


def test_too_many_within_an_hour_are_refused(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pace.PER_HOUR, "review", 2)
    client, address = signed_in(UserFactory()), f"/model-versions/{version.pk}/reviews"
    assert [client.post(address, {"positive": value}).status_code for value in "101"] == [302, 302, 422]


def test_reviews_of_a_model_above_my_limit_are_not_shown(version: Version) -> None:
    reviews.give(UserFactory(), version, positive=True, text="wordword")
    version.entry.rating = 16
    version.entry.save()
    assert "wordword" not in Client().get(f"/model-versions/{version.pk}/reviews").content.decode()


def test_a_picture_stands_beside_the_review_as_each_visitor_may_see_it(version: Version) -> None:
    author, address = UserFactory(), f"/model-versions/{version.pk}/reviews"
    image = shown(author, version, rating=4)
    foreign = shown(UserFactory(), version)
    assert signed_in(author).post(address, {"positive": "1", "image": str(foreign.pk)}).status_code == 422
    signed_in(author).post(address, {"positive": "1", "image": str(image.pk)})
    link = f'href="/images/{image.pk}"'
    seen = UserFactory(max_rating=16, blur_from=8), UserFactory(max_rating=16, blur_from=4), UserFactory(max_rating=2)
    pages = [signed_in(user).get(address).content.decode() for user in seen]
    assert [link in page for page in pages] == [True, True, False]
    assert ["veiled" in page for page in pages] == [False, True, False]
    UserImage.objects.filter(pk=image.pk).update(hidden_at=version.published_at)
    assert link not in signed_in(seen[0]).get(address).content.decode()
