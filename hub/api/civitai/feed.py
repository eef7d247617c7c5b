"""GET /api/v1/images: previews that this caller may see, one page of them. A picture is one item, however many versions show it.

Which pictures show a version at all is `images`' rule, asked here as a query: those of its newest finished previews in which its own
weights act.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BigIntegerField, BooleanField, Exists, ExpressionWrapper, F, Func, OuterRef, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from hub import pictures
from hub.api.civitai import paging, vocabulary
from hub.api.civitai.answers import answer, endpoint, iso
from hub.api.civitai.feedquery import FeedQuery, read_feed_query
from hub.api.civitai.paging import Order
from hub.downloads import origin_of
from inference.models import Picture, Shot
from inference.offered import offered_previews
from registry import queries
from registry.lifecycle import RenderState
from registry.models import Entry, Rating, User, Version, Visibility

WORDS = {Rating.PG: "None", Rating.PG13: "Soft", Rating.R: "Mature", Rating.X: "X", Rating.XXX: "X"}
NO_REACTIONS = dict.fromkeys(("cryCount", "laughCount", "likeCount", "dislikeCount", "heartCount", "commentCount"), 0)
NEWEST, OLDEST = Order("newest-pictures", ()), Order("oldest-pictures", (), descending=False)
RANDOM = Order("random-pictures", ("shuffle", "rank"), descending=False)
"""A shuffle by a seed that its cursor keeps, so that walking on repeats nothing."""
MOST_SEED, MOST_RANK = 2**31, 2**63 - 1


@dataclass(slots=True)
class Shown:
    """One shot as the feed tells it; of several with the same picture the first is told, and the versions of all."""

    picture: int
    sha256: str
    width: int
    height: int
    seed: int
    blurhash: str
    created_at: datetime
    meta: dict[str, Any]
    render: int
    version: int
    base_model: str
    version_name: str
    entry: int
    entry_name: str
    rating: int
    visibility: str
    username: str
    versions: list[int] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)


COLUMNS = (
    "picture_id", "picture__sha256", "picture__width", "picture__height", "picture__seed", "picture__blurhash", "picture__created_at",
    "picture__meta", "render_id", "render__version_id", "render__version__base_model", "render__version__name",
    "render__version__entry_id", "render__version__entry__name", "render__version__entry__rating",
    "render__version__entry__visibility", "render__version__entry__owner__username",
)  # fmt: skip


@endpoint
def images(request: HttpRequest, user: User | None) -> HttpResponse:
    query = read_feed_query(request.GET)
    shots = shots_of(user, query)
    order, places = _ordered(Picture.objects.filter(Exists(shots.filter(picture=OuterRef("pk")))), query)
    start = (query.page - 1) * query.limit if query.page else 0
    window = list(places[start : start + query.limit + 1]) if query.limit else []
    shown = _shown(shots, [place[-1] for place in window[: query.limit]])
    if query.with_tags:
        _add_tags(shown)
    origin = origin_of(request)
    metadata: dict[str, Any] = {"currentPage": query.page, "pageSize": query.limit} if query.page else {}
    if len(window) > query.limit:
        cursor = paging.cursor_of(order, window[query.limit - 1])
        metadata |= {"nextCursor": cursor, "nextPage": paging.next_page(request, cursor)}
    return answer({"items": [_item(origin, one, query) for one in shown], "metadata": metadata})


def shots_of(user: User | None, query: FeedQuery) -> QuerySet[Shot]:
    """Shots with a picture that this caller may see and asked for."""
    made = offered_previews().filter(state=RenderState.MADE)
    newer = made.filter(version=OuterRef("version"), pk__gt=OuterRef("pk"))
    versions: Any = _versions(user, query)
    if query.narrow:  # few: told by number, so that PostgreSQL begins with them and not with all previews there are
        versions = list(versions.values_list("pk", flat=True))
    newest = made.filter(~Exists(newer), version__in=versions)
    # An add-on is also rendered at strength 0, to be compared with: that picture shows the base.
    acts = Func(F("spec"), template="jsonb_path_exists(%(expressions)s, '$.addons[*] ? (!(@.strength == 0))')", output_field=BooleanField())
    shots = Shot.objects.annotate(acts=acts).filter(Q(acts=True) | Q(render__base=None), render__in=newest, picture__isnull=False)
    days = vocabulary.PERIOD_DAYS[query.period]
    if days is not None:
        shots = shots.filter(picture__created_at__gte=timezone.now() - timedelta(days=days))
    if query.images is not None:
        shots = shots.filter(picture__in=query.images)
    if query.post is not None:
        shots = shots.filter(render=query.post)
    if query.only_with_meta:
        shots = shots.exclude(picture__meta={})
    return shots.none() if query.media not in {"", "image"} else shots.order_by()


def _versions(user: User | None, query: FeedQuery) -> QuerySet[Version]:
    """By rating always; only listed ones, unless the question names what it wants."""
    versions = queries.readable_versions(user) if query.addressed else queries.published_versions().filter(entry__in=queries.listed())
    versions = versions.filter(entry__rating__in=[bit for bit in Rating.values if bit & query.level])
    if query.version is not None:
        versions = versions.filter(pk=query.version)
    elif query.model is not None:
        versions = versions.filter(entry=query.model)
    if query.username:
        versions = versions.filter(entry__owner__username__iexact=query.username)
    if query.user is not None:
        versions = versions.filter(entry__owner=query.user)
    if query.tags is not None:
        versions = versions.filter(Exists(Entry.tags.through.objects.filter(entry=OuterRef("entry"), tag__in=query.tags)))
    if query.base_models:
        versions = versions.filter(base_model__in=query.base_models)
    return versions


def _ordered(found: QuerySet[Picture], query: FeedQuery) -> tuple[Order, QuerySet[Picture, Any]]:
    """The order, and the places of all pictures behind the cursor in it. The hub counts no reactions: what sorts by them is by age."""
    if query.sort == "Random":
        return RANDOM, _shuffled(found, query)
    order = OLDEST if query.sort == "Oldest" else NEWEST
    if query.cursor:
        [last] = paging.place_of(order, query.cursor)
        found = found.filter(pk__lt=last) if order.descending else found.filter(pk__gt=last)
    # Few pictures are found and sorted; of many the newest are met by walking down the index, which a sum keeps PostgreSQL from.
    place = F("pk") + 0 if query.narrow else F("pk")
    return order, found.order_by(place.desc() if order.descending else place.asc()).values_list("pk")


def _shuffled(found: QuerySet[Picture], query: FeedQuery) -> QuerySet[Picture, Any]:
    after = paging.place_of(RANDOM, query.cursor) if query.cursor else None
    seed = Value(after[0] if after else secrets.randbelow(MOST_SEED), output_field=BigIntegerField())
    mixed = Func(F("pk"), seed, function="hashint8extended", output_field=BigIntegerField())  # PostgreSQL's own, of a bigint
    # Said in so many words that it is a bigint: Django takes any "&" for a small integer, which no large number could exceed.
    found = found.annotate(shuffle=seed, rank=ExpressionWrapper(mixed.bitand(MOST_RANK), output_field=BigIntegerField()))
    if after:
        found = found.filter(Q(rank__gt=after[1]) | Q(rank=after[1], pk__gt=after[2]))
    return found.order_by("rank", "pk").values_list("shuffle", "rank", "pk")


def _shown(shots: QuerySet[Shot], ids: Collection[int]) -> list[Shown]:
    """What is told of these pictures, in their order. Where a listed model shows one, it does not tell of unlisted ones that do too."""
    if not ids:
        return []
    found: dict[int, list[Shown]] = defaultdict(list)
    for row in shots.filter(picture__in=ids).values_list(*COLUMNS):
        found[row[0]].append(Shown(*row))
    items = []
    for pk in ids:
        listed = [one for one in found[pk] if one.visibility == Visibility.PUBLIC]
        rows = sorted(listed or found[pk], key=lambda one: (one.version, one.render))
        if rows:  # it was there a moment ago
            rows[0].versions = list(dict.fromkeys(one.version for one in rows))
            items.append(rows[0])
    return items


def _add_tags(shown: Collection[Shown]) -> None:
    """Of their models: pictures have none of their own."""
    of_entry: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = Entry.tags.through.objects.filter(entry_id__in={one.entry for one in shown}).order_by("tag__name")
    for entry, pk, name in rows.values_list("entry_id", "tag_id", "tag__name"):
        of_entry[entry].append({"id": pk, "name": name})
    for one in shown:
        one.tags = of_entry[one.entry]


def _item(origin: str, one: Shown, query: FeedQuery) -> dict[str, Any]:
    """`hash` is the BlurHash, left out while there is none. `meta` is null where it was not asked for, as clients of the site expect."""
    word = WORDS[Rating(one.rating)]
    meta = (one.meta if query.flat_meta else {"id": one.picture, "meta": one.meta}) if query.with_meta else None
    data = {
        "id": one.picture,
        "url": origin + pictures.path(one.sha256, None, f"{one.entry_name}-{one.version_name}-{one.seed}"),
        "width": one.width,
        "height": one.height,
        "nsfwLevel": word,
        "type": "image",
        "nsfw": word != "None",
        "browsingLevel": one.rating,
        "createdAt": iso(one.created_at),
        "postId": one.render,
        "stats": NO_REACTIONS,
        "meta": meta,
        "username": one.username,
        "baseModel": one.base_model,
        "modelVersionIds": one.versions,
    }
    if one.blurhash:
        data["hash"] = one.blurhash
    return {**data, "tags": one.tags} if query.with_tags else data
