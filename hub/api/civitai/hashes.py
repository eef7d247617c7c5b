"""Versions by the hashes of their files: one of any kind by GET, many SHA-256 by POST. Which hash means what is `registry.queries`'."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson
from django.db.models import Case, F, IntegerField, QuerySet, Subquery, TextField, Value, When
from django.http import HttpRequest, HttpResponse

from hub import limits
from hub.api.civitai.answers import ApiError, answer, endpoint, posted
from hub.api.civitai.versionbodies import asked_by, bodies, who
from hub.downloads import origin_of
from registry import queries
from registry.models import File, Status, User, Version
from registry.statements import Given, Kept, is_one_of

MOST_BODIES, MOST_IDS = limits.HASHES_WHOLE, limits.HASHES_IDS
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

_finding = Kept(300)


@endpoint
def by_hash(request: HttpRequest, user: User | None, value: str) -> HttpResponse:
    """GET /api/v1/model-versions/by-hash/{hash}: any kind of hash, prefixes from 8 digits on; of several the oldest that is served."""
    digits = queries.hash_digits(value)
    found = bodies(origin_of(request), asked_by(user, _best), digits=digits) if digits else {}
    if not found:
        raise ApiError(404, "Model not found")
    return answer(*found.values())


@posted
def bodies_by_hash(request: HttpRequest, user: User | None) -> HttpResponse:
    """POST /api/v1/model-versions/by-hash: each version once, in the order of the hashes; what is not found is left out."""
    asked = _read_hashes(request, MOST_BODIES)
    found = _versions(user, asked)
    ids = dict.fromkeys(found[value][0] for value in asked if value in found)
    known = bodies(origin_of(request), asked_by(user, _these), ids=list(ids))
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


def _best(user: User | None) -> QuerySet[Version]:
    """The version that the hash in the open place `digits` means."""
    meant = _files(user).filter(queries.has_hash("blob_id", Given("digits", "text", TextField())))
    return Version.objects.filter(pk=Subquery(meant.order_by(*BEST_FIRST).values("version_id")[:1]))


def _these(user: User | None) -> QuerySet[Version]:
    """Versions by `ids`, that `_versions` found."""
    return Version.objects.filter(is_one_of("pk", Given("ids", "bigint[]")))


def _versions(user: User | None, asked: Iterable[str]) -> dict[str, tuple[int, int]]:
    """SHA-256 -> (version, entry), the best of those that hold these bytes. One query."""
    statement = _finding.get(who(user), lambda: _found(user))
    return {sha256: (version, entry) for sha256, version, entry in statement.run(asked=list(asked))}


def _found(user: User | None) -> QuerySet[File, tuple[str, int, int]]:
    files = _files(user).filter(is_one_of("blob__sha256", Given("asked", "text[]")))
    best = files.order_by("blob__sha256", *BEST_FIRST).distinct("blob__sha256")
    return best.values_list("blob__sha256", "version_id", "version__entry_id")


def _body(request: HttpRequest, limit: int) -> bytes:
    """The body; of one that says it is too long nothing is read. Raises `ApiError` 413 for more than `limit` bytes."""
    too_large = ApiError(413, f"Request body too large: this question needs no more than {limit:,} bytes.")
    length = request.headers.get("Content-Length") or "0"
    if length.isdecimal() and int(length) > limit:
        raise too_large
    # What comes in chunks has no length, and Django takes it for empty.
    chunked = request.headers.get("Transfer-Encoding", "").lower() == "chunked"
    body: bytes = (request.META["wsgi.input"] if chunked else request).read(limit + 1)
    if len(body) > limit:
        raise too_large
    return body


def _read_hashes(request: HttpRequest, most: int) -> dict[str, None]:
    """The SHA-256 of a question, lower-case, each once, in their order. Raises `ApiError` 400, 413 for a body that none needs."""
    wrong = ApiError(400, f"Request must include an array of SHA256 Hashes. At most {most:,}, of 64 hexadecimal digits each.")
    try:
        given = orjson.loads(_body(request, most * BYTES_OF_ONE))
    except orjson.JSONDecodeError:
        raise wrong from None
    if not isinstance(given, list) or len(given) > most or not all(isinstance(value, str) for value in given):
        raise wrong
    values = [value.strip().lower().removeprefix("0x") for value in given]
    if not all(SHA256.fullmatch(value) for value in values):
        raise wrong
    return dict.fromkeys(values)
