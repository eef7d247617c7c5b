"""What lies in a file: its tensors, its metadata and its header, read without loading it; and whether it fits a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from hub import compatible
from hub.api.hub.access import file_to_read
from hub.api.hub.requests import MAX_BIGINT
from hub.api.hub.views import HubView, problems
from registry import panel, queries
from registry.formats.plaintext import printable
from registry.models import File
from registry.panel import Page, Panel
from registry.places import HIDDEN

MAX_PAGE, USUAL_PAGE = 1000, 200
SAYS_HIDDEN = "X-Weigh-Hidden"
"""Header of an answer that is not as stored: the metadata keys whose values were left out."""


class TensorQuery(serializers.Serializer):
    """Which tensors. The answer's `next` is the `after` of the page behind it."""

    after = serializers.CharField(required=False, max_length=4000, trim_whitespace=False, default="")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=MAX_PAGE, default=USUAL_PAGE)
    q = serializers.CharField(required=False, max_length=200, allow_blank=True, default="", help_text="Part of the name, in any case.")
    part = serializers.ChoiceField(list(panel.PARTS), required=False, allow_blank=True, default="")


class TotalAnswer(serializers.Serializer):
    name = serializers.CharField()
    tensors = serializers.IntegerField()
    numbers = serializers.IntegerField()
    bytes = serializers.IntegerField()


class TensorAnswer(serializers.Serializer):
    name = serializers.CharField()
    dtype = serializers.CharField()
    shape = serializers.ListField(child=serializers.IntegerField())
    offsets = serializers.ListField(child=serializers.IntegerField(), help_text="First byte and end, from the start of the file.")
    bytes = serializers.IntegerField()
    part = serializers.ChoiceField(list(panel.PARTS))


class TensorsAnswer(serializers.Serializer):
    """A page of the tensors by name, and the totals of all of them."""

    file_id = serializers.IntegerField()
    source = serializers.ChoiceField(["header", "scan"], help_text="Read from the file's header, or written down by the scan.")
    tensors_in_all = serializers.IntegerField()
    parameters = serializers.IntegerField(help_text="Numbers in all tensors.")
    bytes = serializers.IntegerField()
    dtypes = TotalAnswer(many=True)
    parts = TotalAnswer(many=True)
    matched = serializers.IntegerField()
    tensors = TensorAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class MetadataAnswer(serializers.Serializer):
    """What the file says of itself. Values that hold folder names of the trainer's machine are shown to its owner and moderators only."""

    file_id = serializers.IntegerField()
    source = serializers.ChoiceField(["header", "scan"])
    metadata = serializers.DictField(child=serializers.CharField(trim_whitespace=False))
    hidden = serializers.ListField(child=serializers.CharField(), help_text=f"Keys whose value reads: {HIDDEN}")


class FitQuery(serializers.Serializer):
    checkpoint = serializers.IntegerField(min_value=1, max_value=MAX_BIGINT)


class FitAnswer(serializers.Serializer):
    """Whether an add-on's tensors find their places in a checkpoint."""

    file_id = serializers.IntegerField()
    checkpoint_id = serializers.IntegerField()
    fits = serializers.BooleanField(allow_null=True, help_text="null where names and shapes cannot tell.")
    sentence = serializers.CharField()
    share = serializers.FloatField(help_text="How much of the add-on would apply, 0 to 1.")
    applied = serializers.IntegerField()
    parts = serializers.IntegerField(help_text="What the add-on changes; `applied` of them find their place.")
    unmatched = serializers.ListField(child=serializers.CharField(), source="misses", help_text="The first that do not, and why.")


QUERY = [
    OpenApiParameter("after", str, description="A page's `next`."),
    OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE}, {USUAL_PAGE} if left out."),
    OpenApiParameter("q", str, description="Part of the name, in any case."),
    OpenApiParameter("part", str, enum=list(panel.PARTS), description="Only tensors of this part of the model."),
]


class Tensors(HubView):
    @extend_schema(operation_id="list_tensors", parameters=QUERY, responses={200: TensorsAnswer, **problems(400, 404, 409)})
    def get(self, request: Request, pk: int) -> Response:
        """The tensors of a file: names, types, shapes, places. Of safetensors only the header is read, of others what the scan noted."""
        file = file_to_read(request, pk)
        query = TensorQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        found = known(file)
        page = found.page(after=asked["after"], limit=asked["limit"], text=asked["q"], part=asked["part"])
        return Response(TensorsAnswer(_tensors(file, found, page)).data)


class Metadata(HubView):
    @extend_schema(operation_id="read_metadata", responses={200: MetadataAnswer, **problems(404, 409)})
    def get(self, request: Request, pk: int) -> Response:
        """The metadata in a file, as text. It was written by whoever made the file: never trust it, never render it."""
        file = file_to_read(request, pk)
        found = known(file)
        all_of_it = queries.may_edit(request.user, file.version.entry)
        shown = found.metadata if all_of_it else found.public_metadata
        answer = {"file_id": pk, "source": found.source, "metadata": shown, "hidden": [] if all_of_it else found.hidden}
        return Response(MetadataAnswer(answer).data)


class Header(HubView):
    @extend_schema(
        operation_id="read_header",
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, description="As stored; with metadata replaced where X-Weigh-Hidden names keys."),
            **problems(404, 409),
        },
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        """The JSON header of a safetensors file, byte for byte as it is stored.

        Metadata that holds folder names of the trainer's machine is replaced for everybody but its owner and moderators;
        the answer's header `X-Weigh-Hidden` names the keys then, and of a header of more than 4 MiB they get nothing (409).
        """
        file = file_to_read(request, pk)
        if queries.may_edit(request.user, file.version.entry):
            raw, hidden = panel.raw_header(file), []
        else:
            raw, hidden = panel.public_header(panel.raw_header(file, panel.MAX_LISTED_HEADER))
        response = HttpResponse(raw, content_type="application/json")
        if hidden:
            response[SAYS_HIDDEN] = ", ".join(printable(key, 60).encode("ascii", "replace").decode() for key in hidden[:20])
        response["X-Content-Type-Options"] = "nosniff"
        return response


class Fits(HubView):
    @extend_schema(
        operation_id="fits_checkpoint",
        parameters=[OpenApiParameter("checkpoint", int, required=True, description="The checkpoint's file.")],
        responses={200: FitAnswer, **problems(400, 404, 409)},
    )
    def get(self, request: Request, pk: int) -> Response:
        """Whether a LoRA, embedding, VAE or other add-on fits a checkpoint, and how much of it would apply: by names and shapes alone."""
        file = file_to_read(request, pk)
        query = FitQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        checkpoint = file_to_read(request, query.validated_data["checkpoint"])
        found = compatible.compare(file, checkpoint).found
        answer = {"file_id": pk, "checkpoint_id": checkpoint.pk, **found.to_json()}
        return Response(FitAnswer(answer).data)


def known(file: File) -> Panel:
    """The tensors of a file. Raises NotFound where nobody knows them: not scanned yet, or nothing that holds tensors."""
    found = panel.of_file(file)
    if found is None:
        raise NotFound("No tensors are known of this file: it was not scanned yet, or it holds none.", code="no-tensors")
    return found


def _tensors(file: File, found: Panel, page: Page) -> dict[str, Any]:
    return {
        "file_id": file.pk,
        "source": found.source,
        "tensors_in_all": found.whole.tensors,
        "parameters": found.whole.numbers,
        "bytes": found.whole.bytes,
        "dtypes": [asdict(total) for total in found.dtypes],
        "parts": [asdict(total) for total in found.parts],
        "matched": page.matched,
        "tensors": [
            {
                "name": row.name,
                "dtype": row.dtype,
                "shape": list(row.shape),
                "offsets": [row.begin, row.end],
                "bytes": row.bytes,
                "part": row.part,
            }
            for row in page.rows
        ],
        "next": page.next,
    }
