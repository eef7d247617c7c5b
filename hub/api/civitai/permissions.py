"""Who may make pictures with which version: GET /api/v1/permissions/check, and the word `canGenerate`. Renders themselves are asked
for by the hub's own API."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from hub.api.civitai import parameters
from hub.api.civitai.answers import answer, endpoint
from inference.renderfiles import CONTAINER, ROLES
from registry import queries
from registry.models import File, Status, User


@endpoint
def check(request: HttpRequest, user: User | None) -> HttpResponse:
    """{"<version id>": bool}; [] where none was named. What is hidden from the asker is false, as what does not exist.

    With `userId` it is said of somebody else: what everybody with an account may do, since nobody's own rights are told to others.
    """
    given = parameters.without_nul(request.GET)
    parameters.one_of(given, "entityType", ("ModelVersion",))
    parameters.one_of(given, "permission", ("Generate",))
    ids = parameters.id_list(given, "entityIds")
    if not ids:
        return answer([])
    asked_for = parameters.id_list(given, "userId")
    of = user if user is not None and (asked_for is None or asked_for == (user.pk,)) else None
    may = renderable(of, ids) if user is not None or asked_for else set()
    return answer({str(pk): pk in may for pk in ids})


def renderable(user: User | None, ids: Collection[int]) -> set[int]:
    """Those of these versions that this person may see and of which the hub can make pictures; one query. None is anybody."""
    versions = queries.readable_versions(user).filter(pk__in=ids, deleted_at=None, entry__deleted_at=None).exclude(status=Status.WITHDRAWN)
    return set(rendered_weights().filter(version__in=versions).values_list("version_id", flat=True))


def rendered_weights() -> QuerySet[File]:
    """Files that a render can be made with, whoever asks."""
    return queries.downloadable_files().filter(blob__container=CONTAINER, blob__detected__kind__in=list(ROLES))
