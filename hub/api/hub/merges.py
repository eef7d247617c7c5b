"""Merges: ask for one, watch it, cancel it, try it again."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.hub.access import entry_to_change
from hub.api.hub.merge_answers import MergeAnswer, MergeRequest, split
from hub.api.hub.views import CHANGE, OwnView, checked, problems
from inference import merges
from inference.models import Merge
from registry import lifecycle
from registry.models import Entry

SHOWN = 100


class Merges(OwnView):
    @extend_schema(operation_id="list_merges", responses={200: MergeAnswer(many=True), **problems(401)})
    def get(self, request: Request) -> Response:
        """Your merges, the newest hundred."""
        return Response(MergeAnswer(lifecycle.with_places(merges.of(request.user))[:SHOWN], many=True, context=self.context).data)

    @extend_schema(operation_id="create_merge", request=MergeRequest, responses={201: MergeAnswer, **problems(*CHANGE, 409, 413, 429, 507)})
    def post(self, request: Request) -> Response:
        """Merge files of the hub into a new draft version. What cannot work is refused here, with the reason.

        Every file must be yours to read, found clean and ready, and safetensors: of a pickle its safetensors copy is taken (see `notes`).
        The result allows what all of its inputs allow (see `licence`); nothing is merged whose creator forbids that.
        """
        fields = checked(MergeRequest, request)
        recipe, files = split(fields)
        entry = _own_entry(request, fields["entry_id"]) if "entry_id" in fields else None
        merge = merges.request_merge(
            request.user, recipe=recipe, files=files, entry=entry, name=fields.get("name", ""), file_name=fields.get("file_name", "")
        )
        return self.answer(merge, 201)

    def answer(self, merge: Merge, status: int) -> Response:
        row = merges.of(merge.owner).get(pk=merge.pk)
        return Response(MergeAnswer(row, context=self.context).data, status=status)


class OneMerge(OwnView):
    @extend_schema(operation_id="read_merge", responses={200: MergeAnswer, **problems(401, 404)})
    def get(self, request: Request, pk: int) -> Response:
        """How far a merge is: its state, bytes done of bytes in all, its place in the queue, and what came out. Poll it meanwhile."""
        return Response(MergeAnswer(_own(request, pk), context=self.context).data)

    @extend_schema(operation_id="cancel_merge", responses={200: MergeAnswer, **problems(401, 403, 404, 409)})
    def delete(self, request: Request, pk: int) -> Response:
        """Cancel a merge that waits or runs. The row stays, as cancelled; nothing else is left of it."""
        merges.cancel(_own(request, pk))
        return Response(MergeAnswer(_own(request, pk), context=self.context).data)


class RetryMerge(OwnView):
    @extend_schema(operation_id="retry_merge", request=None, responses={200: MergeAnswer, **problems(401, 403, 404, 409, 429)})
    def post(self, request: Request, pk: int) -> Response:
        """Try a failed merge again."""
        merges.retry(_own(request, pk))
        return Response(MergeAnswer(_own(request, pk), context=self.context).data)


def _own(request: Request, pk: int) -> Merge:
    """A merge of the caller; anybody else's does not exist."""
    merge = merges.of(request.user).filter(pk=pk).first()  # type: ignore[arg-type]
    if merge is None:
        raise NotFound("There is no such merge, or it is not yours.")
    return merge


def _own_entry(request: Request, pk: int) -> Entry:
    """The entry that is to take the result. Moderators may change those of others, but merge into their own."""
    entry = entry_to_change(request, pk)
    if entry.owner_id != request.user.pk:
        raise PermissionDenied("Only its owner can merge into this model.", code="not-yours")
    return entry
