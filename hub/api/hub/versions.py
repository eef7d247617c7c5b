"""Versions of an entry: create, read, change, withdraw, publish, delete."""

from __future__ import annotations

from datetime import datetime

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.hub.access import entry_to_change, version_to_change, version_to_read
from hub.api.hub.answers import VersionAnswer
from hub.api.hub.entries import REASON
from hub.api.hub.requests import AnswerRequest, VersionChange, VersionRequest
from hub.api.hub.views import CHANGE, HubView, checked, problems
from registry import catalog, schedule
from registry.models import Version


class Versions(HubView):
    @extend_schema(operation_id="create_version", request=VersionRequest, responses={201: VersionAnswer, **problems(*CHANGE)})
    def post(self, request: Request, pk: int) -> Response:
        """Create a draft version of an entry, placed before those that exist."""
        version = catalog.create_version(entry_to_change(request, pk), **checked(VersionRequest, request))
        return Response(VersionAnswer(version, context=self.context).data, status=201)


class OneVersion(HubView):
    @extend_schema(operation_id="read_version", responses={200: VersionAnswer, **problems(404)})
    def get(self, request: Request, pk: int) -> Response:
        """A version with its files. A withdrawn one keeps name, metadata and hashes, and says why."""
        return Response(VersionAnswer(version_to_read(request, pk), context=self.context).data)

    @extend_schema(operation_id="change_version", request=VersionChange, responses={200: VersionAnswer, **problems(*CHANGE)})
    def patch(self, request: Request, pk: int) -> Response:
        """Change the fields that are sent. `status: withdrawn` with a `reason` takes the version back; `publish_at` is for drafts."""
        version = version_to_change(request, pk)
        fields = checked(VersionChange, request, partial=True)
        status, reason = fields.pop("status", None), fields.pop("reason", "")
        if "publish_at" in fields:
            _schedule(version, fields.pop("publish_at"))
        if fields:
            catalog.change_version(version, **fields)
        if status:
            catalog.withdraw(version, reason)
        return Response(VersionAnswer(version_to_read(request, pk), context=self.context).data)

    @extend_schema(operation_id="delete_version", parameters=[REASON], responses={204: None, **problems(401, 403, 404, 410)})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete a version. One that was published leaves a tombstone, a draft leaves nothing."""
        catalog.delete_version(version_to_change(request, pk), request.query_params.get("reason", "").replace("\x00", ""))
        return Response(status=204)


def _schedule(version: Version, at: datetime | None) -> None:
    if at is None:
        schedule.cancel(version)
    else:
        schedule.schedule(version, at)


class Publish(HubView):
    @extend_schema(operation_id="publish_version", request=None, responses={200: VersionAnswer, **problems(401, 403, 404, 409, 410)})
    def post(self, request: Request, pk: int) -> Response:
        """Make a version public. It needs a file that was found clean and is ready, and no open `questions`; 409 says what it waits for."""
        catalog.publish(version_to_change(request, pk))
        return Response(VersionAnswer(version_to_read(request, pk), context=self.context).data)


class Answers(HubView):
    @extend_schema(operation_id="answer_question", request=AnswerRequest, responses={200: VersionAnswer, **problems(*CHANGE, 409)})
    def post(self, request: Request, pk: int) -> Response:
        """Answer what the tensors contradict: `keep` the declaration with a reason that visitors read, or declare what was detected.

        A kind belongs to the entry: changing it changes it for all versions. Another detection later asks anew.
        """
        catalog.answer(version_to_change(request, pk), request.user, **checked(AnswerRequest, request))
        return Response(VersionAnswer(version_to_read(request, pk), context=self.context).data)
