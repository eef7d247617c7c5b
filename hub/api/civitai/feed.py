"""GET /api/v1/images: previews and people's images that this caller may see, one page of them. A picture is one item, however many
versions show it; which images there are, and under which ids, `attached` says.

Which pictures show a version at all is `images`' rule, asked here as a query: those of its newest finished previews in which its own
weights act.
"""

from __future__ import annotations

import secrets
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BigIntegerField, BooleanField, Exists, ExpressionWrapper, F, Func, OuterRef, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from hub import pictures
from hub.api.civitai import attached, paging, vocabulary
from hub.api.civitai.answers import answer, endpoint, iso
from hub.api.civitai.feedquery import FeedQuery, read_feed_query
from hub.api.civitai.paging import Order
from hub.downloads import origin_of
from inference.models import Picture, Shot
from inference.offered import offered_previews
from registry import queries
from registry.lifecycle import RenderState
from registry.models import Entry, Rating, User, UserImage, Version, Visibility

WORDS = {Rating.PG: "None", Rating.PG13: "Soft", Rating.R: "Mature", Rating.X: "X", Rating.XXX: "X"}
NO_REACTIONS = dict.fromkeys(("cryCount", "laughCount", "likeCount", "dislikeCount", "heartCount", "commentCount"), 0)
NEWEST, OLDEST = Order("newest-of-both", ("picture",)), Order("oldest-of-both", ("picture",), descending=False)
"""Places are two: the last picture and the last image that were told. Each kind is walked by its own ids."""
ENDS = {True: (2**63 - 1, 2**63 - 1), False: (0, 0)}
RANDOM = Order("random-pictures", ("shuffle", "rank"), descending=False)
"""A shuffle by a seed that its cursor keeps, so that walking on repeats nothing."""
MOST_SEED, MOST_RANK = 2**31, 2**63 - 1


@dataclass(slots=True)
class Shown:
    """One shot as the feed tells it; of several with the same picture the first is told, and the versions of all. Or an image, which has
    a path of its own, and is its own post."""

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
    path: str = ""
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
    shots, people = shots_of(user, query), attached.images_of(_versions(user, attached.any_author(query)), query)
    start = (query.page - 1) * query.limit if query.page else 0
    order, met = _met(Picture.objects.filter(Exists(shots.filter(picture=OuterRef("pk")))), people, query, start + query.limit + 1)
    window = met[start:] if query.limit else []
    shown = _shown(shots, people, [one for one, _ in window[: query.limit]])
    if query.with_tags:
        _add_tags(shown)
    origin = origin_of(request)
    metadata: dict[str, Any] = {"currentPage": query.page, "pageSize": query.limit} if query.page else {}
    if len(window) > query.limit:
        cursor = paging.cursor_of(order, window[query.limit - 1][1])
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
        shots = shots.filter(picture__in=attached.of_pictures(query.images))
    if query.post is not None:
        shots = shots.filter(render__in=attached.of_pictures([query.post]))
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


def _met(
    pictures_: QuerySet[Picture], images_: QuerySet[UserImage], query: FeedQuery, most: int
) -> tuple[Order, list[tuple[int, tuple[int, ...]]]]:
    """The order, and behind the cursor in it at most so many (id in the feed, place). The hub counts no reactions: what sorts by them is
    by age. Two statements, whatever was asked."""
    if query.sort == "Random":
        after = paging.place_of(RANDOM, query.cursor) if query.cursor else None
        seed = after[0] if after else secrets.randbelow(MOST_SEED)
        drawn = [*_shuffled(pictures_, 0, seed, after, most), *_shuffled(images_, attached.RAISED, seed, after, most)]
        return RANDOM, [(one, (seed, rank, one)) for rank, one in sorted(drawn)[:most]]
    order = OLDEST if query.sort == "Oldest" else NEWEST
    ends = tuple(paging.place_of(order, query.cursor)) if query.cursor else ENDS[order.descending]
    parts = [_walked(rows, end, order, query, most) for rows, end in zip((pictures_, images_), ends, strict=True)]
    return order, _merged(parts, ends, order, most)


def _walked(rows: QuerySet[Any], last: int, order: Order, query: FeedQuery, most: int) -> deque[tuple[datetime, int]]:
    """(moment, id) of those behind the last one, by their ids."""
    rows = rows.filter(pk__lt=last) if order.descending else rows.filter(pk__gt=last)
    # Few are found and sorted; of many the newest are met by walking down the index, which a sum keeps PostgreSQL from.
    place = F("pk") + 0 if query.narrow else F("pk")
    return deque(rows.order_by(place.desc() if order.descending else place.asc()).values_list("created_at", "pk")[:most])


def _merged(parts: list[deque[tuple[datetime, int]]], ends: tuple[int, ...], order: Order, most: int) -> list[tuple[int, tuple[int, ...]]]:
    """Always the head that is next by its moment, each kind in the order of its ids: so a place says exactly what was told before."""
    met: list[tuple[int, tuple[int, ...]]] = []
    places = list(ends)
    while len(met) < most and any(parts):
        first = (max if order.descending else min)((kind for kind in (0, 1) if parts[kind]), key=lambda kind: parts[kind][0][0])
        _, pk = parts[first].popleft()
        places[first] = pk
        met.append((attached.raised(pk) if first else pk, tuple(places)))
    return met


def _shuffled(rows: QuerySet[Any], raised: int, seed: int, after: Sequence[int] | None, most: int) -> Iterable[tuple[int, int]]:
    """(rank, id in the feed) of those behind the place."""
    one = ExpressionWrapper(F("pk") + Value(raised, output_field=BigIntegerField()), output_field=BigIntegerField())
    given = Value(seed, output_field=BigIntegerField())
    mixed = Func(one, given, function="hashint8extended", output_field=BigIntegerField())  # PostgreSQL's own, of a bigint
    # Said in so many words that it is a bigint: Django takes any "&" for a small integer, which no large number could exceed.
    rows = rows.annotate(one=one, rank=ExpressionWrapper(mixed.bitand(MOST_RANK), output_field=BigIntegerField()))
    if after:
        rows = rows.filter(Q(rank__gt=after[1]) | Q(rank=after[1], one__gt=after[2]))
    return rows.order_by("rank", "one").values_list("rank", "one")[:most]


def _shown(shots: QuerySet[Shot], people: QuerySet[UserImage], ids: Collection[int]) -> list[Shown]:
    """What is told of these pictures and images, in their order; what was there a moment ago is left out."""
    told = {one.picture: one for one in _shown_pictures(shots, attached.of_pictures(ids))}
    told |= {attached.raised(image.pk): _shown_image(image) for image in attached.loaded(people, attached.lowered(ids))}
    return [told[one] for one in ids if one in told]


def _shown_image(image: UserImage) -> Shown:
    file, version, one = image.file, image.version, attached.raised(image.pk)
    of_file = (file.sha256, file.width, file.height, 0, file.blurhash, image.created_at, attached.meta(image), one)
    of_version = (version.pk, version.base_model, version.name, version.entry_id, version.entry.name)
    rating = max(image.rating, version.entry.rating)
    who = (rating, version.entry.visibility, image.owner.username)
    return Shown(one, *of_file, *of_version, *who, versions=[version.pk], path=attached.path(image))


def _shown_pictures(shots: QuerySet[Shot], ids: Collection[int]) -> list[Shown]:
    """Where a listed model shows one, it does not tell of unlisted ones that do too."""
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
        "url": origin + (one.path or pictures.path(one.sha256, None, f"{one.entry_name}-{one.version_name}-{one.seed}")),
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
