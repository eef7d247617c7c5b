"""What the API answers before an upload, field by field."""

from __future__ import annotations

from rest_framework import serializers

from registry.agreements import kind_label
from registry.recognise import Recognised


class RecognisedAnswer(serializers.Serializer):
    """What a file seems to be; an empty text or list for what it does not tell."""

    name = serializers.CharField(help_text="A name for the entry, from the metadata or the file's name.")
    version = serializers.CharField()
    kind = serializers.CharField(help_text="The kind to declare.")
    detected_kind = serializers.CharField()
    label = serializers.SerializerMethodField(help_text="The detected kind as people read it.")  # type: ignore[assignment]
    flavour = serializers.CharField()
    base_model = serializers.CharField()
    precision = serializers.CharField()
    confidence = serializers.CharField()
    tensors = serializers.IntegerField()
    trigger_words = serializers.ListField(child=serializers.CharField())
    evidence = serializers.ListField(child=serializers.CharField())

    def get_label(self, found: Recognised) -> str:
        return kind_label(found.detected_kind) if found.detected_kind else ""


class PlaceAnswer(serializers.Serializer):
    """One file with these bytes that the caller may see."""

    file_name = serializers.CharField()
    entry = serializers.CharField()
    version = serializers.CharField()
    owner = serializers.CharField()
    yours = serializers.BooleanField()
    url = serializers.CharField()


class KnownAnswer(serializers.Serializer):
    here = serializers.BooleanField(help_text="An upload that declares this SHA-256 would send nothing.")
    size_bytes = serializers.IntegerField(allow_null=True)
    places = PlaceAnswer(many=True)
