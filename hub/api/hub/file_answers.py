"""What the API answers about files: a summary for lists, the whole life of one, and its scan."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hub.downloads import download_url
from inference.models import Derivative
from registry import lifecycle
from registry.models import File, TimelineStep, Verdict
from scanner.models import ScanReport


def url_of(file: File, request: Any) -> str | None:
    """Where to download it; None for what is not clean, not ready or taken back."""
    return download_url(request, file) if file.downloadable and not file.version.gone else None


class FileSummary(serializers.ModelSerializer):
    version_id = serializers.IntegerField(read_only=True)
    source_id = serializers.IntegerField(read_only=True, allow_null=True, help_text="The file that it was derived from.")
    verdict = serializers.ChoiceField(Verdict.choices, read_only=True)
    container = serializers.SerializerMethodField(help_text="What the bytes are: safetensors, torch zip...; empty before the scan.")
    sha256 = serializers.SerializerMethodField()
    hashes = serializers.SerializerMethodField(help_text="SHA256, BLAKE3, CRC32, AutoV1, AutoV2, AutoV3; upper-case hex.")
    detected = serializers.SerializerMethodField(help_text="What the tensors say it is: kind, base model, precision.")
    download_url = serializers.SerializerMethodField()

    class Meta:
        model = File
        fields = [
            *("id", "name", "version_id", "role", "source_id", "recipe", "state", "verdict", "container", "size_bytes", "sha256"),
            *("hashes", "detected", "download_url", "download_count", "error", "error_code", "created_at", "moved_at"),
        ]
        read_only_fields = fields

    def get_container(self, file: File) -> str:
        return file.blob.container if file.blob else ""

    def get_sha256(self, file: File) -> str | None:
        return file.sha256 or None

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_hashes(self, file: File) -> dict[str, str]:
        return file.blob.hash_values() if file.blob else {}

    @extend_schema_field(serializers.DictField())
    def get_detected(self, file: File) -> dict[str, Any]:
        return file.blob.detected if file.blob else {}

    def get_download_url(self, file: File) -> str | None:
        return url_of(file, self.context["request"])


class StepAnswer(serializers.ModelSerializer):
    seconds = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = TimelineStep
        fields = ["step", "outcome", "started_at", "finished_at", "seconds", "note", "done_bytes", "total_bytes"]
        read_only_fields = fields


class DerivativeAnswer(serializers.Serializer):
    """A variant of the file: wanted, being made, made (then `file_id` is its file) or failed."""

    state = serializers.CharField()
    recipe = serializers.DictField()
    file_id = serializers.IntegerField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    file_state = serializers.CharField(allow_null=True)
    size_bytes = serializers.IntegerField(allow_null=True)
    sha256 = serializers.CharField(allow_null=True)
    download_url = serializers.CharField(allow_null=True)
    error = serializers.CharField()
    error_code = serializers.CharField()
    queue_place = serializers.IntegerField(allow_null=True)


class FileAnswer(FileSummary):
    derivatives = serializers.SerializerMethodField()
    timeline = StepAnswer(many=True, read_only=True)
    queue_place = serializers.SerializerMethodField(help_text="1 is next; null where it does not wait for a worker.")

    class Meta(FileSummary.Meta):
        fields = [*FileSummary.Meta.fields, "derivatives", "timeline", "queue_place"]
        read_only_fields = fields

    def get_queue_place(self, file: File) -> int | None:
        return lifecycle.place_in_queue(file)

    @extend_schema_field(DerivativeAnswer(many=True))
    def get_derivatives(self, file: File) -> list[dict[str, Any]]:
        """Variants with a life of their own, then the files that were derived without one: the safetensors twin of a pickle."""
        request = self.context["request"]
        wanted = list(Derivative.objects.filter(source=file).select_related("result__blob", "result__version__entry"))
        shown = {derivative.result_id for derivative in wanted}
        twins = file.derived.select_related("blob", "version__entry").exclude(pk__in=[pk for pk in shown if pk])  # type: ignore[attr-defined]
        return [
            *(_derived("made", twin.recipe, twin, request) for twin in twins),
            *(_derived(one.state, one.recipe, one.result, request, one) for one in wanted),
        ]


def _derived(state: str, recipe: dict[str, Any], result: File | None, request: Any, life: Derivative | None = None) -> dict[str, Any]:
    return {
        "state": state,
        "recipe": recipe,
        "file_id": result.pk if result else None,
        "name": result.name if result else None,
        "file_state": result.state if result else None,
        "size_bytes": result.size_bytes if result else None,
        "sha256": result.sha256 or None if result else None,
        "download_url": url_of(result, request) if result else None,
        "error": life.error if life else "",
        "error_code": life.error_code if life else "",
        "queue_place": lifecycle.place_in_queue(life) if life else None,
    }


class ScanAnswer(serializers.Serializer):
    """The newest report of the scanner over the file's bytes; `report` is null before the first."""

    file_id = serializers.IntegerField()
    verdict = serializers.ChoiceField(Verdict.choices)
    headline = serializers.CharField()
    scanner = serializers.CharField(allow_null=True)
    policy = serializers.CharField(allow_null=True)
    scanned_at = serializers.DateTimeField(allow_null=True)
    report = serializers.DictField(allow_null=True)


def scan_answer(file: File) -> dict[str, Any]:
    report = ScanReport.objects.filter(blob=file.blob).first() if file.blob_id else None
    if report is None:
        text = "These bytes have not been scanned yet, and nothing that was not found clean is served."
        fields: dict[str, Any] = dict.fromkeys(("scanner", "policy", "scanned_at", "report"))
        return {"file_id": file.pk, "verdict": file.verdict, "headline": text, **fields}
    return {
        "file_id": file.pk,
        "verdict": report.verdict,
        "headline": report.headline,
        "scanner": report.scanner,
        "policy": report.policy,
        "scanned_at": report.created_at,
        "report": report.report,
    }
