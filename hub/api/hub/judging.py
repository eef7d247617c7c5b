"""Judging again and extracting: what may be asked for when the scanner did not simply say yes."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from hub import extracting, retrying
from hub.api.hub.access import file_to_change, file_to_read
from hub.api.hub.file_answers import FileAnswer
from hub.api.hub.views import HubView, problems
from registry.lifecycle import RescanState
from scanner.models import Rescan


class RescanAnswer(serializers.ModelSerializer):
    """Bytes that are to be judged again. Until it is done the verdict before holds, and what is served stays served."""

    state = serializers.CharField(read_only=True, help_text=", ".join(RescanState.values))
    before = serializers.CharField(read_only=True, help_text="The verdict when it was asked for.")
    after = serializers.SerializerMethodField(help_text="The verdict that came out; null until then.")

    class Meta:
        model = Rescan
        fields = ["id", "state", "before", "after", "error", "error_code", "created_at", "moved_at"]
        read_only_fields = fields

    def get_after(self, row: Rescan) -> str | None:
        return row.after or None


class JudgeAgain(HubView):
    @extend_schema(operation_id="rescan_file", request=None, responses={202: RescanAnswer, **problems(401, 403, 404, 409)})
    def post(self, request: Request, pk: int) -> Response:
        """Have the bytes of a file judged again; for moderators. Asking while it waits answers with what waits."""
        row = retrying.judge_again(request.user, file_to_read(request, pk))
        return Response(RescanAnswer(row).data, status=202)


class Extract(HubView):
    @extend_schema(operation_id="extract_tensors", request=None, responses={202: FileAnswer, **problems(401, 403, 404, 409)})
    def post(self, request: Request, pk: int) -> Response:
        """Have the tensors of a suspicious file written to safetensors, while the file itself stays sealed; see `derivatives`.

        Asking again changes nothing, unless the last attempt failed.
        """
        extracting.extract(request.user, file_to_change(request, pk))
        return Response(FileAnswer(file_to_read(request, pk), context=self.context).data, status=202)
