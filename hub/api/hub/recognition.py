"""Questions before an upload: what is a file with this header, and are these bytes here already? Nothing is kept of either."""

from __future__ import annotations

import re
from typing import IO, Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.hub.recognition_answers import KnownAnswer, RecognisedAnswer
from hub.api.hub.views import OwnView, problems
from hub.downloads import origin_of
from registry import queries
from registry.models import Blob, File, User
from registry.recognise import recognise
from registry.refusals import Refusal

MAX_NAME = 300
SHOWN = 3
"""Places that are named where bytes lie already."""


class HeaderTooLarge(Refusal):
    """A header that no request may carry; the upload is read whole by a worker all the same."""

    STATUS = 413


class HeaderParser(BaseParser):
    """The bytes as they came, whose number Django bounds for JSON (`DATA_UPLOAD_MAX_MEMORY_SIZE`) and this for itself."""

    media_type = "application/octet-stream"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: dict[str, Any] | None = None) -> bytes:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        data = stream.read(most + 1)
        if len(data) > most:
            text = f"The header is larger than {most >> 20} MiB. Upload the file: a worker reads the header then."
            raise HeaderTooLarge("identify:too-large", text)
        return data


class Identify(OwnView):
    parser_classes = [HeaderParser]

    @extend_schema(
        operation_id="identify_header",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        parameters=[OpenApiParameter("name", str, description="The file's name."), OpenApiParameter("size", int, description="Its bytes.")],
        responses={200: RecognisedAnswer, **problems(400, 401, 403, 413)},
    )
    def post(self, request: Request) -> Response:
        """What a file is, told from its header alone: the JSON of a safetensors file, without the 8 bytes before it.

        A suggestion, before anything is uploaded; the bytes are examined when they arrive. Without a body only the name is read.
        """
        header = request.data if isinstance(request.data, bytes) else b""
        name = request.query_params.get("name", "").replace("\x00", "")[:MAX_NAME].strip()
        if not name:
            raise ParseError("Say in `name` what the file is called.")
        return Response(RecognisedAnswer(recognise(name, header)).data)


class Known(OwnView):
    @extend_schema(operation_id="known_bytes", responses={200: KnownAnswer, **problems(400, 401)})
    def get(self, request: Request, sha256: str) -> Response:
        """Whether bytes with this SHA-256 are here and yours to read, so that an upload which declares it sends nothing.

        What you may not read looks exactly like what is not here.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ParseError("A SHA-256 is 64 hexadecimal digits, a to f in lower case.")
        blob = queries.readable_blob(request.user, sha256)  # type: ignore[arg-type]
        places = _places(request, blob) if blob is not None else []
        return Response({"here": blob is not None, "size_bytes": blob.size_bytes if blob else None, "places": places})


def _places(request: Request, blob: Blob) -> list[dict[str, object]]:
    """Where the caller may see these bytes, the oldest first."""
    user: User = request.user  # type: ignore[assignment]
    files = queries.visible_files(user).filter(blob=blob).select_related("version__entry__owner").order_by("id")[:SHOWN]
    return [_place(request, file) for file in files]


def _place(request: Request, file: File) -> dict[str, object]:
    version = file.version
    return {
        "file_name": file.name,
        "entry": version.entry.name,
        "version": version.name,
        "owner": version.entry.owner.username,
        "yours": version.entry.owner_id == request.user.pk,
        "url": f"{origin_of(request)}/file/{file.pk}",
    }
