"""The reading routes of the Civitai API: which row an address means, who may see it, and what it answers. Downloads are next door."""

from __future__ import annotations

from django.db.models import Case, F, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse

from hub.api.civitai import listing, parameters, rows, shapes
from hub.api.civitai.answers import ApiError, answer, endpoint
from hub.api.civitai.rows import EntryRow, VersionRow
from hub.downloads import origin_of
from registry import queries
from registry.models import Entry, Status, User, Version

LIVE_FIRST = Case(
    When(status=Status.PUBLISHED, deleted_at=None, entry__deleted_at=None, then=Value(0)), default=Value(1), output_field=IntegerField()
)


@endpoint
def models(request: HttpRequest, user: User | None) -> HttpResponse:
    """GET /api/v1/models"""
    return answer(listing.page(request, parameters.read_list_query(request.GET, signed_in=user is not None)))


@endpoint
def model(request: HttpRequest, user: User | None, entry_id: str) -> HttpResponse:
    """GET /api/v1/models/{id}: of every rating; drafts only for those who may change them, after what is published."""
    number = parameters.read_id(entry_id, "model")
    found = rows.read_entries(queries.readable(user).filter(pk=number), queries.readable_versions(user))
    if not found:
        raise ApiError(404, f"No model with id {number}")
    entry = found[0]
    served = [version for version in entry.versions if not _is_gone(entry, version)]
    rows.add_files(served)
    rows.add_images(served)
    entry.versions = [version for version in served if version.files] or served or entry.versions
    entry.versions.sort(key=lambda version: version.status == Status.DRAFT)
    return answer(shapes.model_object(origin_of(request), entry))


@endpoint
def version(request: HttpRequest, user: User | None, version_id: str) -> HttpResponse:
    """GET /api/v1/model-versions/{id}"""
    number = parameters.read_id(version_id, "model version")
    return _version_answer(request, queries.readable_versions(user).filter(pk=number))


@endpoint
def by_hash(request: HttpRequest, user: User | None, value: str) -> HttpResponse:
    """GET /api/v1/model-versions/by-hash/{hash}: any kind of hash, prefixes from 8 digits on; of several the oldest that is served."""
    known = queries.readable_versions(user).exclude(status=Status.DRAFT).filter(files__blob__in=queries.blobs_by_hash(value))
    return _version_answer(request, known.order_by(LIVE_FIRST, F("published_at").asc(nulls_last=True), "id"))


@endpoint
def unknown(request: HttpRequest, user: User | None, rest: str) -> HttpResponse:
    """Whatever else is below these addresses, in the words that programs understand."""
    raise ApiError(404, "Not found")


def _version_answer(request: HttpRequest, versions: QuerySet[Version]) -> HttpResponse:
    """The first of `versions` with its files. What is gone keeps name, metadata and hashes, and loses every address."""
    found = versions.values_list("pk", "entry_id")[:1]
    if not found:
        raise ApiError(404, "Model not found")
    version_id, entry_id = found[0]
    [entry] = rows.read_entries(Entry.objects.filter(pk=entry_id), Version.objects.filter(pk=version_id))
    [shown] = entry.versions
    rows.add_files([shown], held=True, reports=True)
    shown.held = [file for file in shown.held if file.state in rows.HELD_STATES]
    if _is_gone(entry, shown):
        _take_addresses(shown)
    else:
        rows.add_images([shown], meta=True)
    return answer(shapes.version_object(origin_of(request), entry, shown))


def _take_addresses(version: VersionRow) -> None:
    for file in version.files:
        file.downloadable = False
    version.held, version.files = [*version.files, *version.held], []


def _is_gone(entry: EntryRow, version: VersionRow) -> bool:
    """As `Version.gone`, of rows."""
    return entry.deleted_at is not None or version.deleted_at is not None or version.status == Status.WITHDRAWN
