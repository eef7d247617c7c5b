"""Reads request bodies, and refuses fields that nobody asked for: what is not named here is never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class PlainJSONParser(JSONParser):
    """JSON whose depth cannot exhaust the stack. Its size is bounded by Django (`DATA_UPLOAD_MAX_MEMORY_SIZE`)."""

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None


class Strict(serializers.Serializer):
    """A serializer for what clients send: a field that it does not name is an error, not silently dropped."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [name for name in data if name not in self.fields]
            if unknown:
                known = ", ".join(self.fields)
                raise serializers.ValidationError(
                    {str(name)[:60]: [f"There is no such field to set. Fields are: {known}."] for name in unknown}
                )
        return super().to_internal_value(data)
