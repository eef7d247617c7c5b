"""What pages do with ratings: what is blurred from the start, what is hidden, what settings and the site's cap change."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from registry import catalog
from registry.models import Entry, Rating, User
from tests.factories import UserFactory
from tests.pictures import published_weights, rendered

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry(creator: User) -> Entry:
    """Published, with previews, rated R."""
    file = published_weights(creator)
    rendered(file)
    return catalog.change_entry(Entry.objects.get(pk=file.version.entry_id), rating=Rating.R)


def seen_by(user: User | None, address: str) -> str:
    client = Client()
    if user:
        client.force_login(user)
    return client.get(address).content.decode()


def model(entry: Entry) -> str:
    return f"/{entry.owner.username}/{entry.slug}"


def test_pictures_from_my_threshold_on_are_blurred_before_any_script_runs(entry: Entry) -> None:
    """Every one of them, on the model's page, the picture's own, and in the grid; each with a box that shows it."""
    blurring, sharp = UserFactory(max_rating=Rating.XXX, blur_from=Rating.R), UserFactory(max_rating=Rating.XXX, blur_from=Rating.X)
    shot = entry.versions.get().renders.get().shots.first()
    for address in (model(entry), "/", f"/picture/{shot.pk}"):
        page = seen_by(blurring, address)
        assert page.count("<img ") - page.count('src="/art/') == page.count(" veiled") == page.count('<label class="unveil"') > 0
        assert " veiled" not in seen_by(sharp, address)


def test_strangers_meet_neither_the_page_nor_the_card(entry: Entry, settings: Any) -> None:
    assert entry.name not in seen_by(None, "/")
    assert "Visitors without an account see models rated up to PG-13" in seen_by(None, model(entry))
    settings.STRANGER_RATING = Rating.R
    assert " veiled" in seen_by(None, model(entry))
    settings.STRANGER_BLUR = Rating.X
    assert " veiled" not in seen_by(None, model(entry))


def test_a_member_sets_both_thresholds(entry: Entry) -> None:
    member = UserFactory()
    client = Client()
    client.force_login(member)
    client.post("/account", {"max_rating": "16", "blur_from": "32", "email": ""})
    member.refresh_from_db()
    assert (member.max_rating, member.blur_from) == (16, 32)
    page = seen_by(member, model(entry))
    assert entry.name in page
    assert " veiled" not in page


def test_nobody_chooses_more_than_the_cap(settings: Any) -> None:
    settings.MAX_RATING = Rating.R
    client = Client()
    client.force_login(member := UserFactory())
    page = client.post("/account", {"max_rating": "8", "blur_from": "4", "email": ""}).content.decode()
    assert "This hub shows nothing above R." in page
    member.refresh_from_db()
    assert member.max_rating == Rating.PG13


def test_an_owner_is_told_why_nobody_sees_it(entry: Entry, settings: Any) -> None:
    settings.MAX_RATING = Rating.PG13
    assert "this hub shows nothing above PG-13" in seen_by(entry.owner, model(entry))
    assert Client().get(model(entry)).status_code == 404


def test_bytes_of_pictures_above_the_cap_are_refused(entry: Entry, settings: Any) -> None:
    """To everybody but the owner and moderators; the same address works again when the cap is lifted."""
    picture = entry.versions.get().renders.get().shots.first().picture
    address = f"/pictures/{picture.sha256}/width=450/a.webp"
    moderator = UserFactory(is_moderator=True)
    people = [None, UserFactory(max_rating=Rating.XXX), entry.owner, moderator]
    for cap, expected in ((Rating.PG13, [404, 404, 200, 200]), (Rating.R, [200] * 4)):
        settings.MAX_RATING = cap
        answers = []
        for user in people:
            client = Client()
            if user:
                client.force_login(user)
            answers.append(client.get(address).status_code)
        assert answers == expected
