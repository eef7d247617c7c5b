"""Error answers of the own API: always `{"error": sentence, "code": code}`, with `fields` where single fields are wrong."""

from __future__ import annotations

import errno
import logging
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from registry.formats.errors import FormatError

TROUBLE = (OSError, BotoCoreError, ClientError, InterfaceError, OperationalError)
"""Stores that are away or full: ours, said as such, and worth another try."""
log = logging.getLogger(__name__)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF exception handler: our own answers become 4xx with code and sentence, DRF's keep their status."""
    if isinstance(error, FormatError):
        status = getattr(error, "status", 409 if error.code.startswith("publish:") else 400)
        return Response({"error": error.sentence, "code": error.code}, status=status)
    if isinstance(error, RequestDataTooBig):
        return Response({"error": f"A request's JSON may have {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes.", "code": "too-large"}, 413)
    if isinstance(error, TROUBLE):
        return _trouble(error)
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        response.data = {"error": _first_sentence(response.data), "code": "invalid", "fields": response.data}
    elif isinstance(error, exceptions.NotAuthenticated):
        response.data = {"error": "Sign in, or send the header `Authorization: Bearer <token>`.", "code": "not_authenticated"}
    else:
        detail = response.data.get("detail", "") if isinstance(response.data, dict) else response.data
        response.data = {"error": str(detail), "code": getattr(detail, "code", "error")}
    return response


def _trouble(error: Exception) -> Response:
    log.error("a store did not do its part", exc_info=error)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Response({"error": "The hub's disk is full. Tell the admin and try again later.", "code": "upload:disk-full"}, status=507)
    text = "The hub's database or file store does not answer just now. Nothing was changed by halves; try again in a moment."
    return Response({"error": text, "code": "trouble"}, status=503, headers={"Retry-After": "5"})


def _first_sentence(data: Any, path: str = "") -> str:
    if isinstance(data, dict):
        key, value = next(iter(data.items()), ("", ""))
        return _first_sentence(value, path if key == "non_field_errors" else f"{path}.{key}".strip("."))
    if isinstance(data, list):
        return _first_sentence(data[0], path) if data else ""
    return f"{path}: {data}" if path else str(data)
