"""What clients may send, field by field, with the limits of each. What the hub answers is in `answers.py`."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC
from typing import Any

from django.db import models
from rest_framework import serializers

from hub.api.hub.parsing import Strict
from registry import catalog
from registry.models import CommercialUse, Entry, Kind, Rating, Status, Subject, Version, Visibility

MAX_TEXT = 100_000
MAX_NUMBERS = 1_000
"""Part numbers per request: their addresses are about 300 bytes each."""
MAX_BIGINT = 2**63 - 1


def length(model: type[models.Model], field: str) -> int:
    """The column's length, so that a limit stands in one place."""
    return int(model._meta.get_field(field).max_length or 0)


class Line(serializers.CharField):
    """One line of text: no control characters, which could end a header or hide the rest of a name."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data))
        if any(unicodedata.category(char) == "Cc" for char in text):
            raise serializers.ValidationError("This must be one line of text without control characters.")
        return text


class Number(serializers.FloatField):
    """A number that JSON can carry back: neither NaN nor infinite."""

    def to_internal_value(self, data: Any) -> float:
        value = float(super().to_internal_value(data))
        if not math.isfinite(value):
            raise serializers.ValidationError("A valid number is required.")
        return value


class EntryRequest(Strict):
    name = Line(max_length=length(Entry, "name"))
    kind = serializers.ChoiceField(Kind.choices)
    description = serializers.CharField(max_length=MAX_TEXT, allow_blank=True, required=False, help_text="Markdown.")
    tags = serializers.ListField(child=Line(max_length=60), max_length=30, required=False)
    visibility = serializers.ChoiceField(Visibility.choices, required=False)
    group = Line(max_length=150, required=False, help_text="Name of the group that may read it where visibility is group: one of yours.")
    rating = serializers.ChoiceField(Rating.choices, required=False, help_text="1 PG, 2 PG-13, 4 R, 8 X, 16 XXX.")
    allow_no_credit = serializers.BooleanField(required=False)
    allow_commercial_use = serializers.ListField(child=serializers.ChoiceField(CommercialUse.choices), max_length=4, required=False)
    allow_derivatives = serializers.BooleanField(required=False)
    allow_different_license = serializers.BooleanField(required=False)
    spdx = Line(max_length=length(Entry, "spdx"), allow_blank=True, required=False, help_text="SPDX licence identifier.")

    def validate_allow_commercial_use(self, value: list[str]) -> list[str]:
        return list(dict.fromkeys(value))


class VersionRequest(Strict):
    name = Line(max_length=length(Version, "name"))
    base_model = Line(max_length=length(Version, "base_model"), help_text="What you declare; the files say what they are.")
    description = serializers.CharField(max_length=MAX_TEXT, allow_blank=True, required=False, help_text="What is new. Markdown.")
    trigger_words = serializers.ListField(child=Line(max_length=200), max_length=200, required=False)
    weight = Number(min_value=-10, max_value=10, allow_null=True, required=False)
    clip_skip = serializers.IntegerField(min_value=0, max_value=24, allow_null=True, required=False)
    sampler = Line(max_length=length(Version, "sampler"), allow_blank=True, required=False)
    steps = serializers.IntegerField(min_value=1, max_value=1000, allow_null=True, required=False)
    cfg_scale = Number(min_value=0, max_value=100, allow_null=True, required=False)
    negative_prompt = serializers.CharField(max_length=10_000, allow_blank=True, required=False)
    vae = Line(max_length=length(Version, "vae"), allow_blank=True, required=False)


class VersionChange(VersionRequest):
    """A change of a version; `status: withdrawn` takes it back."""

    status = serializers.ChoiceField([Status.WITHDRAWN], required=False, help_text="`withdrawn` takes the version back; a tombstone stays.")
    reason = serializers.CharField(max_length=300, allow_blank=True, required=False, help_text="Why it is withdrawn; shown to readers.")
    publish_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        default_timezone=UTC,
        help_text="A draft is published then, or as soon afterwards as it is ready; null: only when you say so. UTC without a zone.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "reason" in attrs and "status" not in attrs:
            raise serializers.ValidationError({"reason": ["A reason goes with status: withdrawn."]})
        return attrs


class AnswerRequest(Strict):
    """An answer to one of a version's `questions`."""

    about = serializers.ChoiceField(Subject.choices)
    keep = serializers.BooleanField(help_text="true: the declaration stays, for a reason. false: declare what was detected.")
    reason = Line(max_length=catalog.MAX_REASON, allow_blank=True, required=False, help_text="Needed to keep it; visitors read it.")
    detected = Line(max_length=60, allow_blank=True, required=False, help_text="Which question, where several are about the same.")


class UploadRequest(Strict):
    file_name = serializers.CharField(allow_blank=True, trim_whitespace=False, help_text="Name alone, no folder.")
    size_bytes = serializers.IntegerField(min_value=0, max_value=MAX_BIGINT)
    sha256 = serializers.CharField(
        max_length=70, allow_blank=True, required=False, help_text="64 hex digits. Known bytes that you may read are linked, not sent."
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        """Any name comes through here: what is wrong with one is said by `registry.names`, once for every door."""
        fields = super().get_fields()
        fields["file_name"].validators = []
        return fields


class PartsRequest(Strict):
    numbers = serializers.ListField(child=serializers.IntegerField(), min_length=1, max_length=MAX_NUMBERS)


class ReceivedPart(Strict):
    number = serializers.IntegerField()
    etag = serializers.CharField(max_length=100)


class CompleteRequest(Strict):
    parts = serializers.ListField(child=ReceivedPart(), max_length=10_000, required=False)

    def validate_parts(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        numbers = [part["number"] for part in value]
        doubled = sorted({number for number in numbers if numbers.count(number) > 1}) if len(set(numbers)) < len(numbers) else []
        if doubled:
            raise serializers.ValidationError(f"Part {doubled[0]} is named more than once. Name every part once.")
        return value
