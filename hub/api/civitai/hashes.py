"""Versions by the hashes of their files: one of any kind by GET, many SHA-256 by POST. Which hash means what is `registry.queries`'."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson
from django.db.models import Case, F, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse

from hub.api.civitai.answers import ApiError, answer, endpoint, posted
from hub.api.civitai.versionbodies import bodies
from hub.downloads import origin_of
from registry import queries
from registry.models import File, Status, User, Version

MOST_BODIES, MOST_IDS = 100, 10_000
"""Hashes in one question, as on civitai.com: answered with whole versions, or with their ids."""
BYTES_OF_ONE = 100
"""Of a body, for each hash that it may hold: 64 digits, `0x`, quotes, a comma and an indented line. Counted before anything is parsed."""
SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
LIVE_FIRST = Case(
    When(version__status=Status.PUBLISHED, version__deleted_at=None, version__entry__deleted_at=None, then=Value(0)),
    default=Value(1),
    output_field=IntegerField(),
)
BEST_FIRST: tuple[Any, ...] = (LIVE_FIRST, F("version__published_at").asc(nulls_last=True), "version_id")
"""Of several versions with the same bytes: what is served before what is gone, then the oldest."""


@endpoint
def by_hash(request: HttpRequest, user: User | None, value: str) -> HttpResponse:
    """GET /api/v1/model-versions/by-hash/{hash}: any kind of hash, prefixes from 8 digits on; of several the oldest that is served."""
    best = _files(user).filter(blob__in=queries.blobs_by_hash(value)).order_by(*BEST_FIRST).values_list("version_id", flat=True)
    found = bodies(origin_of(request), Version.objects.filter(pk__in=list(best[:1])))
    if not found:
        raise ApiError(404, "Model not found")
    return answer(*found.values())


@posted
def bodies_by_hash(request: HttpRequest, user: User | None) -> HttpResponse:
    """POST /api/v1/model-versions/by-hash: each version once, in the order of the hashes; what is not found is left out."""
    asked = _read_hashes(request, MOST_BODIES)
    found = _versions(user, asked)
    ids = dict.fromkeys(found[value][0] for value in asked if value in found)
    known = bodies(origin_of(request), Version.objects.filter(pk__in=list(ids)))
    return answer([known[pk] for pk in ids if pk in known])


@posted
def ids_by_hash(request: HttpRequest, user: User | None) -> HttpResponse:
    """POST /api/v1/model-versions/by-hash/ids: one row for each hash that is found, in the order of the question."""
    asked = _read_hashes(request, MOST_IDS)
    found = _versions(user, asked)
    rows = ((value, *found[value]) for value in asked if value in found)
    return answer([{"modelVersionId": version, "modelId": entry, "hash": value.upper()} for value, version, entry in rows])


def _files(user: User | None) -> QuerySet[File]:
    """Files by which versions are found: those this user may know of, drafts left out even for their creators."""
    return queries.visible_files(user).exclude(version__status=Status.DRAFT)


def _versions(user: User | None, asked: Iterable[str]) -> dict[str, tuple[int, int]]:
    """SHA-256 -> (version, entry), the best of those that hold these bytes. One query."""
    files = _files(user).filter(blob__sha256__in=list(asked))
    best = files.order_by("blob__sha256", *BEST_FIRST).distinct("blob__sha256")
    return {sha256: (version, entry) for sha256, version, entry in best.values_list("blob__sha256", "version_id", "version__entry_id")}


def _read_hashes(request: HttpRequest, most: int) -> dict[str, None]:
    """The SHA-256 of a question, lower-case, each once, in their order. Raises `ApiError` 400, 413 for a body that none needs."""
    limit = most * BYTES_OF_ONE
    wrong = ApiError(400, f"Request must include an array of SHA256 Hashes. At most {most:,}, of 64 hexadecimal digits each.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise wrong
    if int(length) > limit:
        raise ApiError(413, f"Request body too large: {most:,} SHA256 hashes need no more than {limit:,} bytes.")
    try:
        given = orjson.loads(request.read(limit))
    except orjson.JSONDecodeError:
        raise wrong from None
    if not isinstance(given, list) or len(given) > most or not all(isinstance(value, str) for value in given):
        raise wrong
    values = [value.strip().lower().removeprefix("0x") for value in given]
    if not all(SHA256.fullmatch(value) for value in values):
        raise wrong
    return dict.fromkeys(values)
