"""Files: their state, their scan, another try."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub import retrying
from hub.api.hub.access import file_to_change, file_to_read
from hub.api.hub.file_answers import FileAnswer, ScanAnswer, scan_answer
from hub.api.hub.views import HubView, problems


class OneFile(HubView):
    @extend_schema(operation_id="read_file", responses={200: FileAnswer, **problems(404)})
    def get(self, request: Request, pk: int) -> Response:
        """A file: state, verdict, hashes, what it was found to be, its variants and its timeline. Poll it while it is in work."""
        return Response(FileAnswer(file_to_read(request, pk), context=self.context).data)


class Scan(HubView):
    @extend_schema(operation_id="read_scan", responses={200: ScanAnswer, **problems(404)})
    def get(self, request: Request, pk: int) -> Response:
        """The newest report of the scanner over this file's bytes."""
        return Response(ScanAnswer(scan_answer(file_to_read(request, pk), request)).data)


class Retry(HubView):
    @extend_schema(operation_id="retry_file", request=None, responses={200: FileAnswer, **problems(401, 403, 404, 409)})
    def post(self, request: Request, pk: int) -> Response:
        """Try a failed file again (or the variants of it that failed); moderators may have a quarantined one judged again."""
        retrying.retry(request.user, file_to_change(request, pk))
        return Response(FileAnswer(file_to_read(request, pk), context=self.context).data)
