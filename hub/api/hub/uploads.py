"""Uploads: begin, ask where parts go, see what arrived, complete. The parts themselves go past Django."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.hub.access import own_upload, version_to_change
from hub.api.hub.answers import FileId, PartUrl, UploadAnswer, UploadBegun
from hub.api.hub.requests import CompleteRequest, PartsRequest, UploadRequest
from hub.api.hub.views import CHANGE, HubView, OwnView, checked, problems
from hub.downloads import origin_of
from registry import uploads
from registry.models import File, Status

BEGUN = PolymorphicProxySerializer("BegunOrLinked", [UploadBegun, FileId], resource_type_field_name=None)


class Uploads(HubView):
    @extend_schema(operation_id="begin_upload", request=UploadRequest, responses={201: BEGUN, **problems(*CHANGE, 409, 413, 507)})
    def post(self, request: Request, pk: int) -> Response:
        """Begin an upload. Answers `id` and how to cut the file, or `file_id` where these bytes were here and have been linked."""
        version = version_to_change(request, pk)
        if version.status == Status.WITHDRAWN:
            raise uploads.Refused("upload:withdrawn", "This version was withdrawn. Publish it again, or create a new one.", 409)
        fields = checked(UploadRequest, request)
        begun = uploads.begin(version, request.user, fields["file_name"], fields["size_bytes"], fields.get("sha256", ""))
        if isinstance(begun, File):
            return Response({"file_id": begun.pk}, status=201)
        return Response({"id": begun.pk, "part_size_bytes": begun.part_size_bytes, "part_count": begun.part_count}, status=201)


class OneUpload(OwnView):
    @extend_schema(operation_id="read_upload", responses={200: UploadAnswer, **problems(401, 404)})
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """What arrived: after an interruption send only the parts that are not listed."""
        return Response(UploadAnswer(own_upload(request, pk), context=self.context).data)


class PartUrls(OwnView):
    @extend_schema(operation_id="part_urls", request=PartsRequest, responses={200: PartUrl(many=True), **problems(*CHANGE, 409)})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Addresses to PUT these parts to. Every part has `part_size_bytes` but the last; a part may be sent again."""
        numbers = list(dict.fromkeys(checked(PartsRequest, request)["numbers"]))
        return Response(uploads.part_urls(own_upload(request, pk), numbers, origin_of(request)))


class Complete(OwnView):
    @extend_schema(operation_id="complete_upload", request=CompleteRequest, responses={200: FileId, **problems(*CHANGE, 409)})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Everything was sent: queue the file. `parts`, where given, must be what arrived. Asked twice it answers the same."""
        parts = checked(CompleteRequest, request).get("parts", [])
        etags = {part["number"]: part["etag"].removeprefix("W/").strip('"') for part in parts}
        return Response({"file_id": uploads.complete(own_upload(request, pk), etags).pk})
