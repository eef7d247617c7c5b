"""GET /api/v1/images: which pictures, in which order, by which questions; and that walking through it skips and repeats nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inference.models import Picture, Render
from registry import catalog
from registry.models import Entry, File, Rating, Tag, User
from tests.hub.api.civitai.conftest import Get, reader
from tests.hub.api.civitai.test_shapes import shape
from tests.hub.published import published_version
from tests.pictures import BLURHASH, drafted_weights, published_weights, rendered, specs, strengths

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/images"
ITEM = {
    "id": int, "url": str, "width": int, "height": int, "nsfwLevel": str, "type": str, "nsfw": bool, "browsingLevel": int, "createdAt": str,
    "postId": int, "stats": dict, "username": str, "baseModel": str, "modelVersionIds": list, "hash": str,
}  # fmt: skip


def ids(get: Get, **query: Any) -> list[int]:
    return [item["id"] for item in get(ADDRESS, query).json()["items"]]


def pictures_of(*renders: Render) -> list[int]:
    """Their pictures, the newest first."""
    return sorted((shot.picture_id for render in renders for shot in render.shots.all() if shot.picture_id), reverse=True)


def weights(owner: User, count: int = 2, size: int = 64, **entry: Any) -> tuple[File, Render]:
    file = published_weights(owner, **entry)
    return file, rendered(file, specs(count, size))


def test_a_picture(get: Get, creator: User) -> None:
    file, render = weights(creator, rating=4, name="Lanterns")
    [item, _] = get(ADDRESS, {"nsfw": "X"}).json()["items"]
    assert item.pop("meta") is None
    assert shape(item) == ITEM
    assert (item["nsfwLevel"], item["nsfw"], item["browsingLevel"]) == ("Mature", True, 4)
    assert (item["username"], item["baseModel"], item["modelVersionIds"]) == ("ada", "SD 1.5", [file.version_id])
    assert (item["postId"], item["type"], item["width"]) == (render.pk, "image", 64)
    address = item["url"].removeprefix("http://testserver")
    assert get(address).status_code == get(address.replace("original=true", "width=450")).status_code == 200
    in_version = get(f"/api/v1/model-versions/{file.version_id}").json()["images"]
    assert {image["id"]: image["url"] for image in in_version}[item["id"]] == item["url"]


def test_a_picture_without_a_blurhash_yet_has_no_key_for_it(get: Get, creator: User) -> None:
    file, render = weights(creator, 2)
    without, with_one = pictures_of(render)
    Picture.objects.filter(pk=without).update(blurhash="")
    for address in (ADDRESS, f"/api/v1/model-versions/{file.version_id}", f"/api/v1/models/{file.version.entry_id}"):
        body = get(address).json()
        images = body.get("items") or body.get("images") or body["modelVersions"][0]["images"]
        assert {image["id"]: image.get("hash", "absent") for image in images} == {without: "absent", with_one: BLURHASH}


def test_meta_comes_flat_or_wrapped(get: Get, creator: User) -> None:
    file, render = weights(creator, 1)
    [pk] = pictures_of(render)
    wrapped, version = {"id": pk}, {"modelVersionId": file.version_id}
    for query, flat in (
        ({}, True), ({"modelId": file.version.entry_id}, False), ({"imageId": pk}, False), (version, True),
        ({"modelId": file.version.entry_id, **version}, True), ({"imageId": pk, "flatMeta": "true"}, True), ({"flatMeta": "0"}, False),
    ):  # fmt: skip
        [item] = get(ADDRESS, {"withMeta": "true", **query}).json()["items"]
        meta = item["meta"] if flat else item["meta"]["meta"]
        assert meta["seed"] == 100
        assert flat or item["meta"] == {**wrapped, "meta": meta}
        assert get(ADDRESS, query).json()["items"][0]["meta"] is None


def test_ratings(get: Get, creator: User) -> None:
    of = {rating: pictures_of(weights(creator, 1, 64 + 8 * place, rating=rating)[1]) for place, rating in enumerate(Rating.values)}
    expected = {
        "": (1,), "false": (1,), "0": (1,), "None": (1,), "Soft": (1, 2), "Mature": (1, 2, 4), "x": (1, 2, 4, 8, 16),
        "true": (4, 8, 16), "Blocked": (),
    }  # fmt: skip
    for word, shown in expected.items():
        assert set(ids(get, nsfw=word)) == {pk for rating in shown for pk in of[rating]}, word
    assert ids(get, browsingLevel=2, nsfw="X") == of[2]
    words = {item["browsingLevel"]: (item["nsfwLevel"], item["nsfw"]) for item in get(ADDRESS, {"nsfw": "X"}).json()["items"]}
    assert words == {1: ("None", False), 2: ("Soft", True), 4: ("Mature", True), 8: ("X", True), 16: ("X", True)}


def test_questions(get: Get, creator: User, stranger: User) -> None:
    one, first = weights(creator, 2, 64)
    two, second = weights(stranger, 2, 72)
    Entry.objects.filter(pk=two.version.entry_id).first().tags.add(Tag.objects.create(name="light"))
    type(two.version).objects.filter(pk=two.version_id).update(base_model="Pony")
    mine, theirs = pictures_of(first), pictures_of(second)
    light = Tag.objects.get().pk
    for query in (
        {"modelId": two.version.entry_id}, {"modelVersionId": two.version_id}, {"username": "EVE"}, {"userId": stranger.pk},
        {"tags": light},
        {"baseModels": "pony,Flux.1 D"}, {"postId": second.pk}, {"imageId": theirs[0]}, {"ids": ",".join(map(str, theirs))},
        {"modelId": one.version.entry_id, "modelVersionId": two.version_id},
    ):  # fmt: skip
        assert set(ids(get, **query)) == ({theirs[0]} if "imageId" in query else set(theirs)), query
    for query in ({"type": "image"}, {"requiringMeta": "true"}, {"sort": "Random"}, {"period": "Day"}):
        assert set(ids(get, **query)) == {*mine, *theirs}, query
    for query in (
        {"type": "video"},
        {"username": "nobody"},
        {"limit": 0},
        {"userId": 999},
        {"baseModels": "Nothing"},
        {"modelVersionId": 0},
    ):
        assert ids(get, **query) == [], query
    tagged = {item["id"]: item["tags"] for item in get(ADDRESS, {"withTags": "true"}).json()["items"]}
    assert tagged == {pk: [{"id": light, "name": "light"}] if pk in theirs else [] for pk in (*mine, *theirs)}
    Picture.objects.filter(pk=mine[0]).update(created_at=timezone.now() - timedelta(days=3), meta={})
    assert mine[0] not in ids(get, period="Day")
    assert mine[0] in ids(get, period="Week")
    assert mine[0] not in ids(get, requiringMeta="true")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"limit": 201}, 400), ({"limit": -1}, 400), ({"limit": "x"}, 400), ({"nsfw": "maybe"}, 400), ({"sort": "Best"}, 400),
        ({"username": "a b"}, 400), ({"type": "film"}, 400), ({"modelId": "x"}, 400), ({"cursor": "nonsense"}, 400), ({"tags": "x"}, 400),
        ({"period": "Eon"}, 400), ({"username": "a\0"}, 400), ({"withMeta": "maybe"}, 400), ({"browsingLevel": "x"}, 400),
        ({"page": 11, "limit": 100}, 429), ({"page": 10, "limit": 100}, 200), ({"page": 0}, 400),
    ],
)  # fmt: skip
def test_wrong_questions(get: Get, query: dict[str, Any], status: int) -> None:
    response = get(ADDRESS, query)
    assert (response.status_code, "error" in response.json()) == (status, status != 200)


def test_a_picture_of_two_versions_is_one_item(get: Get, creator: User) -> None:
    file, render = weights(creator, 2)
    other = published_weights(creator)
    rendered(other, specs(2, 64))
    assert ids(get) == pictures_of(render)
    assert get(ADDRESS).json()["items"][0]["modelVersionIds"] == [file.version_id, other.version_id]
    Entry.objects.filter(pk=file.version.entry_id).update(visibility="unlisted")
    assert get(ADDRESS, {"imageId": pictures_of(render)[0]}).json()["items"][0]["modelVersionIds"] == [other.version_id]


def test_only_pictures_in_which_an_add_on_acts(get: Get, creator: User) -> None:
    lora = published_weights(creator, kind="lora")
    render = rendered(lora, strengths(2, 64), labels=("0", "0.5", "1"), base=published_weights(creator))
    assert set(ids(get)) == {render.shots.get(place=place).picture_id for place in (1, 2, 4, 5)}


def test_only_the_newest_finished_previews(get: Get, creator: User) -> None:
    file, _ = weights(creator, 2, 64)
    newest = rendered(file, specs(2, 72))
    rendered(file, specs(4, 80), done=1)
    rendered(file, specs(2, 88), purpose="txt2img")
    assert ids(get) == pictures_of(newest)


# --- walking ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["Most Reactions", "Most Comments", "Most Collected", "Newest", "Oldest", "Random"])
def test_walking_skips_and_repeats_nothing_while_pictures_come_and_go(get: Get, creator: User, sort: str) -> None:
    known = set(pictures_of(*(weights(creator, 3, 64 + 8 * number)[1] for number in range(4))))
    seen, query, turn = [], {"limit": 5, "sort": sort}, 0
    while True:
        body = get(ADDRESS, query).json()
        seen += [item["id"] for item in body["items"]]
        if "nextCursor" not in body["metadata"]:
            break
        assert body["metadata"]["nextPage"].startswith("http://testserver/api/v1/images?")
        query, turn = {**query, "cursor": body["metadata"]["nextCursor"]}, turn + 1
        weights(creator, 1, 200 + 8 * turn)
    assert len(seen) == len(set(seen))
    assert known <= set(seen)
    walked = [pk for pk in seen if pk in known]
    if sort != "Random":
        assert walked == sorted(known, reverse=sort != "Oldest")


def test_a_cursor_belongs_to_its_sort_and_pages_by_number_work(get: Get, creator: User) -> None:
    _, render = weights(creator, 5)
    cursor = get(ADDRESS, {"limit": 2}).json()["metadata"]["nextCursor"]
    assert get(ADDRESS, {"limit": 2, "cursor": cursor, "sort": "Oldest"}).status_code == 400
    second = get(ADDRESS, {"limit": 2, "page": 2}).json()
    assert [item["id"] for item in second["items"]] == pictures_of(render)[2:4]
    assert (second["metadata"]["currentPage"], second["metadata"]["pageSize"]) == (2, 2)
    assert get(ADDRESS, {"limit": 2, "page": 3}).json()["metadata"] == {"currentPage": 3, "pageSize": 2}


def test_a_shuffle_is_another_one_each_time(get: Get, creator: User) -> None:
    weights(creator, 6, 64)
    weights(creator, 6, 72)
    assert len({tuple(ids(get, sort="Random")) for _ in range(5)}) > 1


def test_a_token_is_not_repeated(creator: User, client: Any) -> None:
    from registry.models import Token

    weights(creator, 3)
    secret = Token.issue(creator, "tests")[1]
    assert secret not in client.get(ADDRESS, {"token": secret, "limit": 1}).content.decode()


# --- who sees what ----------------------------------------------------------------------------------------------------------


def test_who_sees_whose_pictures(people: dict[str, Get], creator: User) -> None:
    found = {
        name: weights(creator, 1, 64 + 8 * place) for place, name in enumerate(("public", "unlisted", "private", "withdrawn", "deleted"))
    }
    draft = drafted_weights(creator)
    found["draft"] = draft, rendered(draft, specs(1, 200))
    sealed = weights(creator, 1, 208)
    found["sealed"] = sealed
    File.objects.filter(pk=sealed[0].pk).update(state="quarantined")
    for name in ("unlisted", "private"):
        Entry.objects.filter(pk=found[name][0].version.entry_id).update(visibility=name)
    catalog.withdraw(found["withdrawn"][0].version, "wrong")
    catalog.delete_entry(found["deleted"][0].version.entry, "asked")
    readers = {"public": set(people), "unlisted": set(people), "private": {"owner", "moderator"}, "draft": {"owner", "moderator"}}
    for name, (file, render) in found.items():
        [pk] = pictures_of(render)
        for person, get in people.items():
            may = person in readers.get(name, set())
            for query in ({"imageId": pk}, {"modelVersionId": file.version_id}, {"modelId": file.version.entry_id})[: 1 if may else 3]:
                assert ids(get, **query) == ([pk] if may else []), (name, person, query)
    listed = pictures_of(found["public"][1])
    for person in ("anonymous", "owner"):
        for query in ({}, {"username": "ada"}, {"userId": creator.pk}):
            assert ids(people[person], **query) == listed, (person, query)
        assert ids(people[person], postId=found["private"][1].pk) == []


def test_a_hidden_picture_looks_like_a_missing_one(people: dict[str, Get], creator: User) -> None:
    file, render = weights(creator, 1)
    Entry.objects.filter(pk=file.version.entry_id).update(visibility="private")
    for person in ("anonymous", "other"):
        hidden, missing = (people[person](ADDRESS, {"imageId": pk}) for pk in (pictures_of(render)[0], 999_999))
        assert hidden.content == missing.content == b'{"items":[],"metadata":{}}'
        assert set(hidden.headers) == set(missing.headers)


def test_a_drafted_version_beside_a_published_one_adds_nothing(get: Get, creator: User) -> None:
    file, _ = weights(creator, 1)
    draft = published_version(file.version.entry, status="draft", published_at=None)
    File.objects.create(version=draft, name="x.safetensors", blob=file.blob, size_bytes=1, state="ready")
    rendered(draft.files.get(), specs(1, 64))
    assert get(ADDRESS).json()["items"][0]["modelVersionIds"] == [file.version_id]
    assert get(ADDRESS, {"modelId": file.version.entry_id}).json()["items"][0]["modelVersionIds"] == [file.version_id]
    own = reader(creator)(ADDRESS, {"modelId": file.version.entry_id}).json()["items"][0]
    assert own["modelVersionIds"] == [file.version_id, draft.pk]


def test_the_number_of_queries_is_fixed(client: Any, creator: User, django_assert_num_queries: Any) -> None:
    for number in range(5):
        weights(creator, 2, 64 + 8 * number)
    with django_assert_num_queries(3):
        assert len(client.get(ADDRESS).json()["items"]) == 10
    with django_assert_num_queries(4):
        assert len(client.get(ADDRESS, {"withTags": "true", "withMeta": "true"}).json()["items"]) == 10


def test_the_door_is_open_to_pages_of_others(client: Any) -> None:
    assert client.head(ADDRESS)["Access-Control-Allow-Origin"] == "*"
    assert client.options(ADDRESS)["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert client.post(ADDRESS, {}).status_code == 405
