"""The routes about one model or one version, and the list. Hashes, pictures, people and downloads are next door."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from hub.api.civitai import listing, parameters, rows, shapes
from hub.api.civitai.answers import ApiError, answer, endpoint
from hub.api.civitai.versionbodies import asked_by, bodies, is_gone
from hub.downloads import origin_of
from registry import queries
from registry.models import Status, User, Version
from registry.statements import Given


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
    served = [version for version in entry.versions if not is_gone(entry, version)]
    rows.add_files(served)
    rows.add_images(served)
    entry.versions = [version for version in served if version.files] or served or entry.versions
    entry.versions.sort(key=lambda version: version.status == Status.DRAFT)
    return answer(shapes.model_object(origin_of(request), entry))


@endpoint
def version(request: HttpRequest, user: User | None, version_id: str) -> HttpResponse:
    """GET /api/v1/model-versions/{id}"""
    number = parameters.read_id(version_id, "model version")
    found = bodies(origin_of(request), asked_by(user, _version), id=number)
    if not found:
        raise ApiError(404, "Model not found")
    return answer(found[number])


def _version(user: User | None) -> QuerySet[Version]:
    return queries.readable_versions(user).filter(pk=Given("id", "bigint"))


@endpoint
def unknown(request: HttpRequest, user: User | None, rest: str) -> HttpResponse:
    """Whatever else is below these addresses, in the words that programs understand."""
    raise ApiError(404, "Not found")
