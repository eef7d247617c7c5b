"""Reads the query string of the list as tolerantly as its clients write it. Knows no table of the database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from hub import limits
from hub.api.civitai import vocabulary
from hub.api.civitai.answers import ApiError

MAX_LIMIT = 100
MAX_PAGED_ITEMS = limits.PAGES_BY_NUMBER
MAX_TAGS, MAX_NAMES, MAX_IDS = 10, 200, 1000
"""Values of one parameter. Each tag is another join: PostgreSQL would plan 900 of them until its time for a statement is over."""
MAX_ID = 2**31 - 1
"""Ids are 32-bit on the site; anything above is no id of anything."""
TRUE, FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off", ""}
LICENCE_FLAGS = {
    "allowNoCredit": "allow_no_credit",
    "allowDerivatives": "allow_derivatives",
    "allowDerivates": "allow_derivatives",
    "allowDifferentLicense": "allow_different_license",
    "allowDifferentLicenses": "allow_different_license",
}
TAGS = ("tag", "tagname", "tag[]")
PERSONAL = ("favorites", "hidden")
"""Lists of a person's own: who is nobody has none, whatever the value."""
UNKNOWN_HERE = (*PERSONAL, "earlyAccess", "fromPlatform", "followed")
"""Asks for what the hub does not have: nobody keeps such lists here, sells early access, or trains on the site."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What GET /api/v1/models was asked, checked. Empty texts and tuples, and None, mean: not asked.

    `rating` is not read: it asks for stars, which nobody gives here.
    `tags`: an entry must have each of them. `nothing`: it was asked for what no hub of this kind has, so the answer is an empty list.
    """

    limit: int = MAX_LIMIT
    page: int | None = None
    cursor: str = ""
    query: str = ""
    tags: tuple[str, ...] = ()
    without_tags: tuple[str, ...] = ()
    username: str = ""
    types: tuple[str, ...] = ()
    checkpoint_type: str = ""
    base_models: tuple[str, ...] = ()
    ids: tuple[int, ...] | None = None
    version_ids: tuple[int, ...] | None = None
    formats: tuple[str, ...] = ()
    commercial_use: tuple[str, ...] = ()
    licence: dict[str, bool] = field(default_factory=dict)
    sort: str = ""
    period: str = "AllTime"
    nsfw: bool = False
    primary_only: bool = False
    renderable: bool = False
    nothing: bool = False


def read_list_query(given: QueryDict, *, signed_in: bool) -> ListQuery:
    """Raises `ApiError` 400 naming the parameter and what it may be, 401 for one that needs a user, 429 for too deep a page."""
    given = without_nul(given)
    limit, page = whole_number(given, "limit", MAX_LIMIT, 0, MAX_LIMIT), page_number(given)
    cursor, query = given.get("cursor", ""), (given.get("query") or "").strip()[:200]
    if page is not None and not cursor:
        if query:
            raise ApiError(400, "Cannot use page param with query search. Use cursor-based pagination.")
        if page * limit > MAX_PAGED_ITEMS:
            raise ApiError(429, "You've requested too many pages, please use cursors instead")
    for key in PERSONAL:
        if key in given and not signed_in:
            raise ApiError(401, "Unauthorized")
    availability = several_of(given, "availability", vocabulary.AVAILABILITIES)
    return ListQuery(
        limit=limit,
        page=None if cursor else page,
        cursor=cursor,
        query=query,
        tags=_tags(given),
        without_tags=tuple(_tag(name) for name in several(given, "excludeTag")),
        username=username_of(given.get("username", "")),
        types=several_of(given, "types", vocabulary.MODEL_TYPES),
        checkpoint_type=one_of(given, "checkpointType", vocabulary.CHECKPOINT_TYPES),
        base_models=tuple(several(given, "baseModels")),
        ids=id_list(given, "ids"),
        version_ids=id_list(given, "modelVersionIds"),
        formats=several_of(given, "fileFormats", vocabulary.FORMATS),
        commercial_use=several_of(given, "allowCommercialUse", vocabulary.COMMERCIAL_USES),
        licence={column: flag for key, column in LICENCE_FLAGS.items() if (flag := yes_or_no(given, key)) is not None},
        sort=one_of(given, "sort", vocabulary.SORTS),
        period=period_of(given),
        nsfw=bool(yes_or_no(given, "nsfw")),
        primary_only=bool(yes_or_no(given, "primaryFileOnly")),
        renderable=bool(yes_or_no(given, "supportsGeneration")),
        nothing=any(yes_or_no(given, key) for key in UNKNOWN_HERE) or bool(availability and "Public" not in availability),
    )


def read_id(text: str, what: str) -> int:
    """An id of the path. Raises `ApiError` 400."""
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or not 1 <= int(text) <= MAX_ID:
        raise ApiError(400, f"Invalid {what} id: it must be a whole number from 1 to {MAX_ID}")
    return int(text)


def without_nul(given: QueryDict) -> QueryDict:
    """PostgreSQL's text cannot hold NUL, so nothing that holds one can match."""
    if not any("\x00" in value for _, values in given.lists() for value in values):
        return given
    raise ApiError(400, "A parameter holds a NUL character.")


def several(given: QueryDict, key: str, most: int = MAX_NAMES) -> list[str]:
    """Every value of `key`, `key[]` or `key[0]`, repeated or joined by commas. Raises `ApiError` 400 for more than `most`."""
    keys = [name for name in given if name == key or re.fullmatch(re.escape(key) + r"\[\d*\]", name)]
    values = [part.strip() for name in keys for value in given.getlist(name) for part in value.split(",")]
    return _no_more(list(dict.fromkeys(value for value in values if value)), key, most)


def _no_more(values: list[str], key: str, most: int) -> list[str]:
    if len(values) > most:
        raise ApiError(400, f"Invalid value for {key}: at most {most:,} at once")
    return values


def _one_of(value: str, key: str, allowed: Iterable[str]) -> str:
    found = vocabulary.canonical(value, allowed)
    if found is None:
        raise ApiError(400, f"Invalid value for {key}: {value[:60]!r}. Allowed: {', '.join(allowed)}")
    return found


def several_of(given: QueryDict, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_one_of(value, key, allowed) for value in several(given, key))


def one_of(given: QueryDict, key: str, allowed: tuple[str, ...], default: str = "") -> str:
    """The value of `key` in the spelling of `allowed`, else `default`. Raises `ApiError` 400 listing what is allowed."""
    value = (given.get(key) or "").strip()
    return _one_of(value, key, allowed) if value else default


def id_list(given: QueryDict, key: str) -> tuple[int, ...] | None:
    values = several(given, key, MAX_IDS)
    if not values:
        return None
    if not all(re.fullmatch(r"\d{1,18}", value, re.ASCII) for value in values):
        raise ApiError(400, f"Invalid value for {key}: it must be whole numbers separated by commas")
    return tuple(number for number in map(int, values) if number <= MAX_ID)


def whole_number(given: QueryDict, key: str, default: int, low: int, high: int) -> int:
    text = (given.get(key) or "").strip()
    if not text:
        return default
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or not low <= int(text) <= high:
        raise ApiError(400, f"Invalid value for {key}: it must be a whole number from {low} to {high}")
    return int(text)


def page_number(given: QueryDict) -> int | None:
    return whole_number(given, "page", 1, 1, 10**9) if (given.get("page") or "").strip() else None


def yes_or_no(given: QueryDict, key: str) -> bool | None:
    if key not in given:
        return None
    text = given.get(key, "").strip().lower()
    if text not in TRUE | FALSE:
        raise ApiError(400, f"Invalid value for {key}: it must be true or false")
    return text in TRUE


def period_of(given: QueryDict) -> str:
    """The period by which the list is cut: with `periodMode=stats` none, as that means what is counted, and counts are of all time."""
    period = one_of(given, "period", tuple(vocabulary.PERIOD_DAYS), "AllTime")
    return "AllTime" if one_of(given, "periodMode", vocabulary.PERIOD_MODES) == "stats" else period


def _tags(given: QueryDict) -> tuple[str, ...]:
    """A tag may hold a comma, so they are only told apart where the parameter is repeated."""
    names = dict.fromkeys(_tag(name) for key in TAGS for name in given.getlist(key) if name.strip())
    return tuple(_no_more(list(names), "tag", MAX_TAGS))


def _tag(name: str) -> str:
    """As the catalogue spells tags."""
    return " ".join(name.lower().split())


def username_of(text: str) -> str:
    """As the site does it: the first space is an underscore, what no name can hold is dropped."""
    return re.sub(r"[^A-Za-z0-9_-]", "", text.strip().replace(" ", "_", 1)).lower()


PLACE = frozenset({"limit", "page", "cursor", "primary_only", "sort"})


def dump(query: Any) -> str:
    """A stable text of a query without its place in the list: two pages of one list have the same, whatever its order."""
    return repr([getattr(query, name) for name in ListQuery.__slots__ if name not in PLACE])
