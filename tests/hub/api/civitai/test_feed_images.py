"""People's images in GET /api/v1/images: under which ids, in which order beside rendered pictures, rated how, and who sees whose."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hub.api.civitai.attached import RAISED, raised
from inference.models import Picture
from registry import images
from registry.models import Entry, User, UserImage
from tests import imagerows, toolimages
from tests.factories import UserFactory
from tests.hub.api.civitai.conftest import Get, reader
from tests.hub.api.civitai.test_feed import ADDRESS, ids, pictures_of, weights
from tests.hub.api.civitai.test_shapes import shape
from tests.hub.published import published_entry, published_version

pytestmark = pytest.mark.django_db


def attached(count: int, version: Any, rating: int = 1) -> list[int]:
    """The feed's ids of images that so many people attach, the newest first."""
    first = imagerows.shown(UserFactory(), version, rating=rating)
    for _ in range(count - 1):
        same = {field: getattr(first, field) for field in ("file", "name", "state", "rating")}
        UserImage.objects.create(version=version, owner=UserFactory(), **same)
    return sorted(map(raised, UserImage.objects.filter(version=version).values_list("pk", flat=True)), reverse=True)


def test_an_image_is_told_as_a_picture_is(get: Get, creator: User, stranger: User) -> None:
    file, render = weights(creator, 1)
    image = imagerows.shown(stranger, file.version, toolimages.png({"parameters": toolimages.A1111}))
    theirs, mine = get(ADDRESS, {"withMeta": "true", "withTags": "true"}).json()["items"]
    assert shape(theirs) == shape(mine)
    assert (theirs["id"], theirs["username"], theirs["modelVersionIds"]) == (image.pk + RAISED, "eve", [file.version_id])
    assert theirs["id"] < 2**31
    assert (theirs["width"], theirs["height"]) == (image.file.width, image.file.height)
    assert theirs["meta"]["prompt"] == image.file.meta["prompt"]
    assert get(theirs["url"].removeprefix("http://testserver")).status_code == 200
    for query in (
        {"imageId": theirs["id"]},
        {"ids": str(theirs["id"])},
        {"postId": theirs["id"]},
        {"username": "EVE"},
        {"userId": stranger.pk},
    ):
        assert ids(get, **query) == [theirs["id"]], query
    assert ids(get, imageId=mine["id"]) == ids(get, postId=render.pk) == ids(get, username="ada") == [mine["id"]]
    assert set(ids(get, modelId=file.version.entry_id)) == {mine["id"], theirs["id"]}
    assert ids(get, type="video") == []


@pytest.mark.parametrize("sort", ["Newest", "Oldest", "Random"])
def test_walking_through_both_kinds_skips_and_repeats_nothing(get: Get, creator: User, sort: str) -> None:
    file, render = weights(creator, 7)
    known = {*attached(6, file.version), *pictures_of(render)}
    now = timezone.now()
    for number, row in enumerate([*UserImage.objects.all(), *Picture.objects.all()]):  # moments in no order at all
        type(row).objects.filter(pk=row.pk).update(created_at=now - timedelta(minutes=number * 7 % 13))
    seen, query = [], {"limit": 3, "sort": sort}
    while True:
        body = get(ADDRESS, query).json()
        seen += [item["id"] for item in body["items"]]
        if "nextCursor" not in body["metadata"]:
            break
        query = {**query, "cursor": body["metadata"]["nextCursor"]}
        attached(1, published_version(published_entry(creator)))
    assert len(seen) == len(set(seen))
    assert known <= set(seen)


def test_both_kinds_lie_between_each_other_by_age(get: Get, creator: User) -> None:
    file, render = weights(creator, 3)
    theirs, ours = attached(2, file.version), pictures_of(render)
    order = [ours[0], theirs[0], ours[1], theirs[1], ours[2]]
    now = timezone.now()
    for age, pk in enumerate(order):
        rows: Any = UserImage.objects.filter(pk=pk - RAISED) if pk > RAISED else Picture.objects.filter(pk=pk)
        rows.update(created_at=now - timedelta(hours=age))
    assert ids(get) == order
    assert ids(get, sort="Oldest") == order[::-1]
    assert ids(get, limit=2, page=2) == order[2:4]


def test_an_image_counts_as_its_model_where_that_is_rated_higher(get: Get, creator: User, settings: Any) -> None:
    mild, strong = published_version(published_entry(creator)), published_version(published_entry(creator, rating=8))
    [blood], [tame], [quiet] = attached(1, mild, rating=4), attached(1, strong), attached(1, published_version(published_entry(creator)))
    assert ids(get) == [quiet]
    assert set(ids(get, nsfw="Mature")) == {blood, quiet}
    words = {item["id"]: item["browsingLevel"] for item in get(ADDRESS, {"nsfw": "X"}).json()["items"]}
    assert words == {blood: 4, tame: 8, quiet: 1}
    settings.MAX_RATING = 2
    assert ids(get, nsfw="X") == [quiet]
    assert ids(reader(creator), imageId=blood) == []


def test_what_is_hidden_or_waits_looks_as_if_it_were_missing(
    people: dict[str, Get], creator: User, stranger: User, moderator: User
) -> None:
    version = published_version(published_entry(creator))
    [shown] = attached(1, version)
    waits = imagerows.attached(stranger, version, toolimages.png({"parameters": "waits"}))
    hidden = imagerows.shown(stranger, version, toolimages.png({"parameters": "hidden"}))
    images.hide(hidden, moderator, "It is not made with it.")
    for person in people.values():
        assert ids(person) == [shown]
        for image in (waits, hidden):
            assert person(ADDRESS, {"imageId": raised(image.pk)}).content == b'{"items":[],"metadata":{}}'
    Entry.objects.update(visibility="private")
    assert {name: ids(person, imageId=shown) for name, person in people.items()} == {
        "anonymous": [],
        "other": [],
        "owner": [shown],
        "moderator": [shown],
    }
    assert all(ids(person) == [] for person in people.values())
