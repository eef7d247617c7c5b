"""The `images` of versions: which pictures, in which shape, under which addresses; and nothing of what may not be seen."""

from __future__ import annotations

from typing import Any

import pytest

from registry import catalog
from registry.models import Entry, User
from tests.hub.api.civitai.conftest import Get
from tests.hub.api.civitai.test_shapes import nulls
from tests.pictures import published_weights, rendered, specs, strengths

pytestmark = pytest.mark.django_db
IMAGE = {
    "id": int, "url": str, "nsfwLevel": int, "width": int, "height": int, "type": str, "minor": bool, "poi": bool, "hasMeta": bool,
    "hasPositivePrompt": bool, "onSite": bool, "hash": str,
}  # fmt: skip


def test_previews_are_a_versions_images(get: Get, creator: User) -> None:
    file = published_weights(creator, rating=4)
    render = rendered(file, specs(3, 64))
    version = get(f"/api/v1/model-versions/{file.version_id}").json()
    shown = version["images"]
    assert {key: type(value) for key, value in shown[0].items()} == {**IMAGE, "meta": dict}
    assert not list(nulls(shown))
    assert [image["meta"]["seed"] for image in shown] == [100, 101, 102]
    assert (shown[0]["nsfwLevel"], shown[0]["type"], shown[0]["width"], shown[0]["height"]) == (4, "image", 64, 64)
    address = shown[0]["url"].removeprefix("http://testserver")
    assert address.startswith(f"/pictures/{render.shots.first().picture.sha256}/original=true/")
    assert get(address).status_code == 200
    assert get(address.replace("original=true", "width=450"))["Access-Control-Allow-Origin"] == "*"
    listed = get(f"/api/v1/models/{file.version.entry_id}").json()["modelVersions"][0]["images"]
    assert listed == [{key: value for key, value in image.items() if key != "meta"} for image in shown]


def test_an_add_on_is_shown_where_it_acts_strongest_first(get: Get, creator: User) -> None:
    file = published_weights(creator, kind="lora")
    render = rendered(file, strengths(2, 64), labels=("0", "0.5", "1"), base=published_weights(creator))
    shown = get(f"/api/v1/model-versions/{file.version_id}").json()["images"]
    expected = [render.shots.get(place=place).picture_id for place in (2, 5, 1, 4)]
    assert [image["id"] for image in shown] == expected


def test_only_finished_previews_count_and_the_newest(get: Get, creator: User) -> None:
    file = published_weights(creator)
    rendered(file, specs(2, 64))
    rendered(file, specs(4, 72))
    rendered(file, specs(6, 80), done=3)
    rendered(file, specs(6, 88), purpose="txt2img")
    assert {image["width"] for image in get(f"/api/v1/model-versions/{file.version_id}").json()["images"]} == {72}


def test_what_is_gone_has_no_images(get: Get, creator: User) -> None:
    withdrawn, deleted = published_weights(creator), published_weights(creator)
    for file in (withdrawn, deleted):
        rendered(file, specs(2, 64))
    catalog.withdraw(withdrawn.version, "wrong")
    catalog.delete_entry(deleted.version.entry, "asked")
    for file in (withdrawn, deleted):
        assert get(f"/api/v1/model-versions/{file.version_id}").json()["images"] == []


def test_a_private_models_images_are_told_to_its_owner(people: dict[str, Get], creator: User) -> None:
    file = published_weights(creator)
    rendered(file, specs(2, 64))
    Entry.objects.filter(pk=file.version.entry_id).update(visibility="private")
    for name, status in (("owner", 200), ("moderator", 200), ("other", 404), ("anonymous", 404)):
        answer = people[name](f"/api/v1/model-versions/{file.version_id}")
        assert answer.status_code == status
        if status == 200:
            assert people[name](answer.json()["images"][0]["url"].removeprefix("http://testserver")).status_code == 200
            assert people["anonymous"](answer.json()["images"][0]["url"].removeprefix("http://testserver")).status_code == 404


def test_lists_ask_for_images_once(client: Any, creator: User, django_assert_max_num_queries: Any) -> None:
    for _ in range(6):
        rendered(published_weights(creator), specs(2, 64))
    with django_assert_max_num_queries(9):
        items = client.get("/api/v1/models").json()["items"]
    assert [len(item["modelVersions"][0]["images"]) for item in items] == [2] * 6
