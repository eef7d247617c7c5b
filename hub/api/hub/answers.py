"""What the API answers about entries, versions and uploads, field by field. Files are in `file_answers.py`."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hub.api.hub.file_answers import FileSummary
from hub.downloads import origin_of
from registry import agreements, queries, staging
from registry.lifecycle import FileState
from registry.models import Entry, File, Subject, Upload, Version


def shown_files(version: Version, user: Any) -> list[File]:
    """The files of a version that this user sees. No query where they were prefetched."""
    known = "files" in getattr(version, "_prefetched_objects_cache", {})
    files = list(version.files.all() if known else queries.files_with_blobs().filter(version=version))
    if queries.may_edit(user, version.entry):
        return files
    return [file for file in files if file.state in queries.SHOWN_TO_ALL]


class Problem(serializers.Serializer):
    """Every error: a sentence for people, a code for programs, and the fields that are wrong where some are."""

    error = serializers.CharField()
    code = serializers.CharField()
    fields = serializers.DictField(required=False)  # type: ignore[assignment]


class QuestionAnswer(serializers.Serializer):
    """The tensors contradict a declaration; its owner answers at `versions/{id}/answers`, and cannot publish before."""

    about = serializers.ChoiceField(Subject.choices)
    declared = serializers.CharField()
    detected = serializers.CharField(help_text="The family or kind that the tensors prove.")
    suggestion = serializers.CharField(help_text="What `keep: false` declares instead.")
    evidence = serializers.ListField(child=serializers.CharField(), help_text="Which tensors and shapes say so.")


class KeptAnswer(serializers.Serializer):
    """A declaration that its owner keeps although the tensors contradict it, and why."""

    about = serializers.ChoiceField(Subject.choices)
    declared = serializers.CharField()
    detected = serializers.CharField()
    reason = serializers.CharField()
    answered_at = serializers.DateTimeField()


class VersionAnswer(serializers.ModelSerializer):
    entry_id = serializers.IntegerField(read_only=True)
    state = serializers.SerializerMethodField(help_text="draft, published, withdrawn or deleted; of the last two a tombstone is left.")
    reason = serializers.CharField(source="withdrawn_reason", read_only=True, help_text="Why it was withdrawn or deleted.")
    url = serializers.SerializerMethodField(help_text="Its page.")
    questions = serializers.SerializerMethodField(help_text="What its tensors contradict and nobody answered yet.")
    kept = serializers.SerializerMethodField(help_text="What its tensors contradict and its owner keeps, with the reason.")
    files = serializers.SerializerMethodField()

    class Meta:
        model = Version
        fields = [
            *("id", "entry_id", "name", "base_model", "description", "trigger_words", "weight", "clip_skip", "sampler", "steps"),
            *(
                "cfg_scale",
                "negative_prompt",
                "vae",
                "status",
                "state",
                "reason",
                "created_at",
                "published_at",
                "publish_at",
                "withdrawn_at",
            ),
            *("download_count", "url", "questions", "kept", "files"),
        ]
        read_only_fields = fields

    def to_representation(self, version: Version) -> dict[str, Any]:
        self.shown = shown_files(version, self.context["request"].user)
        for file in self.shown:
            file.version = version  # spares a query each
        return dict(super().to_representation(version))

    def get_state(self, version: Version) -> str:
        return "deleted" if version.deleted_at or version.entry.gone else str(version.status)

    def get_url(self, version: Version) -> str:
        return f"{origin_of(self.context['request'])}/model-versions/{version.pk}"

    @extend_schema_field(QuestionAnswer(many=True))
    def get_questions(self, version: Version) -> list[dict[str, Any]]:
        open_ones = [question for question in self._contradictions(version) if not question.answered]
        return list(QuestionAnswer(open_ones, many=True).data)

    @extend_schema_field(KeptAnswer(many=True))
    def get_kept(self, version: Version) -> list[dict[str, Any]]:
        return list(KeptAnswer([question for question in self._contradictions(version) if question.answered], many=True).data)

    @extend_schema_field(FileSummary(many=True))
    def get_files(self, version: Version) -> list[dict[str, Any]]:
        return list(FileSummary(self.shown, many=True, context=self.context).data)

    def _contradictions(self, version: Version) -> list[agreements.Question]:
        return agreements.contradictions(version, self.shown)


class EntryAnswer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.username", read_only=True)
    tags = serializers.SlugRelatedField("name", many=True, read_only=True)
    group = serializers.CharField(
        source="group.name", default=None, read_only=True, allow_null=True, help_text="Who may read it beside you."
    )
    state = serializers.SerializerMethodField(help_text="draft, published, withdrawn (no version is left) or deleted.")
    reason = serializers.CharField(source="deleted_reason", read_only=True, help_text="Why it was deleted.")
    url = serializers.SerializerMethodField(help_text="Its page.")
    versions = serializers.SerializerMethodField()

    class Meta:
        model = Entry
        fields = [
            *("id", "slug", "owner", "name", "kind", "description", "tags", "visibility", "group", "rating", "allow_no_credit"),
            *("allow_commercial_use", "allow_derivatives", "allow_different_license", "spdx", "state", "reason", "created_at"),
            *("updated_at", "published_at", "download_count", "url", "versions"),
        ]
        read_only_fields = fields

    def get_state(self, entry: Entry) -> str:
        if entry.gone:
            return "deleted"
        if entry.published_at is None:
            return "draft"
        return "published" if entry.live else "withdrawn"

    def get_url(self, entry: Entry) -> str:
        return f"{origin_of(self.context['request'])}/models/{entry.pk}"

    @extend_schema_field(VersionAnswer(many=True))
    def get_versions(self, entry: Entry) -> list[dict[str, Any]]:
        user = self.context["request"].user
        rows = entry.versions.select_related("entry__owner").prefetch_related("kept", Prefetch("files", queries.files_with_blobs()))
        versions = [version for version in rows if queries.may_read_version(user, version)]
        return list(VersionAnswer(versions, many=True, context=self.context).data)


class UploadBegun(serializers.Serializer):
    id = serializers.UUIDField()
    part_size_bytes = serializers.IntegerField()
    part_count = serializers.IntegerField()


class FileId(serializers.Serializer):
    """The file. As the answer to a new upload: its bytes were in this hub already, nothing is to be sent."""

    file_id = serializers.IntegerField()


class PartReceived(serializers.Serializer):
    number = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    etag = serializers.CharField()


class PartUrl(serializers.Serializer):
    number = serializers.IntegerField()
    url = serializers.URLField(help_text="PUT the part's bytes here; the answer's ETag is what `complete` takes.")


class UploadAnswer(serializers.ModelSerializer):
    file_id = serializers.IntegerField(read_only=True)
    version_id = serializers.IntegerField(source="file.version_id", read_only=True)
    file_name = serializers.CharField(source="file.name", read_only=True)
    size_bytes = serializers.IntegerField(source="file.size_bytes", read_only=True)
    state = serializers.SerializerMethodField(help_text="open, completed or failed (cancelled, expired).")
    parts = serializers.SerializerMethodField(help_text="What arrived whole: send the others.")
    error = serializers.CharField(source="file.error", read_only=True)
    error_code = serializers.CharField(source="file.error_code", read_only=True)

    class Meta:
        model = Upload
        fields = [
            *("id", "version_id", "file_id", "file_name", "size_bytes", "part_size_bytes", "part_count", "state", "parts"),
            *("created_at", "expires_at", "completed_at", "error", "error_code"),
        ]
        read_only_fields = fields

    def get_state(self, upload: Upload) -> str:
        if upload.completed_at:
            return "completed"
        return "open" if upload.file.state == FileState.UPLOADING else "failed"

    @extend_schema_field(PartReceived(many=True))
    def get_parts(self, upload: Upload) -> list[dict[str, Any]]:
        found = staging.received(upload) if self.get_state(upload) == "open" else {}
        return [{"number": number, "size_bytes": part["size"], "etag": part["etag"]} for number, part in found.items()]
