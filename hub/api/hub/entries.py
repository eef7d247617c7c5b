"""Entries: create, read, change, delete."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.hub.access import entry_to_change, entry_to_read
from hub.api.hub.answers import EntryAnswer
from hub.api.hub.requests import EntryRequest
from hub.api.hub.views import CHANGE, HubView, checked, problems
from registry import catalog, groups, rerating

REASON = OpenApiParameter("reason", str, description="Shown on the tombstone.")


class Entries(HubView):
    @extend_schema(operation_id="create_entry", request=EntryRequest, responses={201: EntryAnswer, **problems(400, 401, 403)})
    def post(self, request: Request) -> Response:
        """Create an entry. It is a draft until one of its versions is published."""
        entry = catalog.create_entry(request.user, **groups.fields(request.user, checked(EntryRequest, request)))
        return Response(EntryAnswer(entry, context=self.context).data, status=201)


class OneEntry(HubView):
    @extend_schema(operation_id="read_entry", responses={200: EntryAnswer, **problems(404)})
    def get(self, request: Request, pk: int) -> Response:
        """An entry with its versions and files. Of a deleted one the tombstone is left: names, metadata and hashes."""
        return Response(EntryAnswer(entry_to_read(request, pk), context=self.context).data)

    @extend_schema(operation_id="change_entry", request=EntryRequest, responses={200: EntryAnswer, **problems(*CHANGE)})
    def patch(self, request: Request, pk: int) -> Response:
        """Change the fields that are sent; the others stay. Below a rating that a moderator gave only moderators go."""
        entry = entry_to_change(request, pk)
        rerating.change_entry(request.user, entry, **groups.fields(entry.owner, checked(EntryRequest, request, partial=True), entry))
        return Response(EntryAnswer(entry_to_read(request, pk), context=self.context).data)

    @extend_schema(operation_id="delete_entry", parameters=[REASON], responses={204: None, **problems(401, 403, 404, 410)})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete an entry. One that was published leaves a tombstone, a draft leaves nothing."""
        catalog.delete_entry(entry_to_change(request, pk), request.query_params.get("reason", "").replace("\x00", ""))
        return Response(status=204)
