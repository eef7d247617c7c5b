"""Error answers of the own API: always `{"error": sentence, "code": code}`, with `fields` where single fields are wrong."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from registry.formats.errors import FormatError


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF exception handler: our own answers become 4xx with code and sentence, DRF's keep their status."""
    if isinstance(error, FormatError):
        status = getattr(error, "status", 409 if error.code.startswith("publish:") else 400)
        return Response({"error": error.sentence, "code": error.code}, status=status)
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        response.data = {"error": _first_sentence(response.data), "code": "invalid", "fields": response.data}
    else:
        detail = response.data.get("detail", "") if isinstance(response.data, dict) else response.data
        response.data = {"error": str(detail), "code": getattr(detail, "code", "error")}
    return response


def _first_sentence(data: Any, path: str = "") -> str:
    if isinstance(data, dict):
        key, value = next(iter(data.items()), ("", ""))
        return _first_sentence(value, path if key == "non_field_errors" else f"{path}.{key}".strip("."))
    if isinstance(data, list):
        return _first_sentence(data[0], path) if data else ""
    return f"{path}: {data}" if path else str(data)
