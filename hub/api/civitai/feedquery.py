"""Reads the query string of the picture feed as tolerantly as its clients write it. Knows no table of the database."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import QueryDict

from hub.api.civitai import basemodels, parameters, vocabulary
from hub.api.civitai.answers import ApiError

USUAL_LIMIT, MAX_LIMIT = 100, 200
SORTS = ("Most Reactions", "Most Comments", "Most Collected", "Newest", "Oldest", "Random")
MEDIA = ("image", "video", "audio")
LEVELS = {"None": 1, "Soft": 3, "Mature": 7, "X": 31, "Blocked": 32}
"""The words of `nsfw` -> bits of ratings that are shown (civitai/civitai browsingLevel.constants.ts, and those of a yes or no)."""
NSFW_YES, NSFW_NO = 4 | 8 | 16 | 32, 1
USERNAME = re.compile(r"[A-Za-z0-9_-]{0,60}")


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """What GET /api/v1/images was asked, checked. Empty tuples, "" and None mean: not asked. `level` are bits of `Rating`."""

    limit: int = USUAL_LIMIT
    page: int | None = None
    cursor: str = ""
    sort: str = SORTS[0]
    period: str = "AllTime"
    level: int = NSFW_NO
    model: int | None = None
    version: int | None = None
    post: int | None = None
    images: tuple[int, ...] | None = None
    username: str = ""
    user: int | None = None
    tags: tuple[int, ...] | None = None
    base_models: tuple[str, ...] = ()
    media: str = ""
    with_meta: bool = False
    flat_meta: bool = True
    only_with_meta: bool = False
    with_tags: bool = False

    @property
    def addressed(self) -> bool:
        """It names what it wants: then unlisted models answer as well, as they do under their own addresses."""
        return not (self.model is None and self.version is None and self.images is None)

    @property
    def narrow(self) -> bool:
        """Few of all versions can answer it."""
        return not (self.model is None and self.version is None and self.user is None and not self.username)


def read_feed_query(given: QueryDict) -> FeedQuery:
    """Raises `ApiError` 400 naming the parameter and what it may be, 429 for too deep a page."""
    given = parameters.without_nul(given)
    limit, page = parameters.whole_number(given, "limit", USUAL_LIMIT, 0, MAX_LIMIT), parameters.page_number(given)
    cursor = given.get("cursor", "")
    if page is not None and not cursor and page * limit > parameters.MAX_PAGED_ITEMS:
        raise ApiError(429, "You've requested too many pages, please use cursors instead")
    image, model, version = (_id(given, key) for key in ("imageId", "modelId", "modelVersionId"))
    flat = parameters.yes_or_no(given, "flatMeta")
    return FeedQuery(
        limit=limit,
        page=None if cursor else page,
        cursor=cursor,
        sort=parameters.one_of(given, "sort", SORTS, SORTS[0]),
        period=parameters.one_of(given, "period", tuple(vocabulary.PERIOD_DAYS), "AllTime"),
        level=_level(given),
        model=model,
        version=version,
        post=_id(given, "postId"),
        images=(image,) if image is not None else parameters.id_list(given, "ids"),
        username=_username(given),
        user=_id(given, "userId"),
        tags=parameters.id_list(given, "tags"),
        base_models=tuple(basemodels.spelled(name) for name in parameters.several(given, "baseModels")),
        media=parameters.one_of(given, "type", MEDIA),
        with_meta=bool(parameters.yes_or_no(given, "withMeta")),
        # The site answers by two ways, and one of them wraps `meta` once more: kept, because its clients unwrap it.
        flat_meta=flat if flat is not None else image is None and (model is None or version is not None),
        only_with_meta=bool(parameters.yes_or_no(given, "requiringMeta")),
        with_tags=bool(parameters.yes_or_no(given, "withTags")),
    )


def _id(given: QueryDict, key: str) -> int | None:
    text = (given.get(key) or "").strip()
    return parameters.whole_number(given, key, 0, 0, parameters.MAX_ID) if text else None


def _level(given: QueryDict) -> int:
    if (given.get("browsingLevel") or "").strip():
        return parameters.whole_number(given, "browsingLevel", NSFW_NO, 0, parameters.MAX_ID)
    word = vocabulary.canonical((given.get("nsfw") or "").strip(), LEVELS)
    if word is not None:
        return LEVELS[word]
    if (given.get("nsfw") or "").strip().lower() not in parameters.TRUE | parameters.FALSE:
        raise ApiError(400, f"Invalid value for nsfw: it must be true, false or one of {', '.join(LEVELS)}")
    return NSFW_YES if parameters.yes_or_no(given, "nsfw") else NSFW_NO


def _username(given: QueryDict) -> str:
    name = (given.get("username") or "").strip()
    if not USERNAME.fullmatch(name):
        raise ApiError(400, "Invalid value for username: it may hold letters, digits, underscores and hyphens")
    return name
