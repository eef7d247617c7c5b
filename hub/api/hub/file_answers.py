"""What the API answers about files: a summary for lists, the whole life of one, and its scan."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hub import merging, outcomes
from hub.api.hub.merge_answers import MadeFrom
from hub.api.hub.variant_answers import OutcomeAnswer, outcome_answer
from hub.downloads import download_url, origin_of
from hub.verdicts import reports
from inference.models import Derivative
from registry import lifecycle, places
from registry.models import File, TimelineStep, Verdict


def url_of(file: File, request: Any) -> str | None:
    """Where to download it; None for what is not clean, not ready or taken back."""
    return download_url(request, file) if file.downloadable and not file.version.gone else None


class FileSummary(serializers.ModelSerializer):
    version_id = serializers.IntegerField(read_only=True)
    source_id = serializers.IntegerField(read_only=True, allow_null=True, help_text="The file that it was derived from.")
    verdict = serializers.ChoiceField(Verdict.choices, read_only=True)
    container = serializers.SerializerMethodField(help_text="What the bytes are: safetensors, torch zip...; empty before the scan.")
    sha256 = serializers.SerializerMethodField()
    hashes = serializers.SerializerMethodField(
        help_text="SHA256, BLAKE3, CRC32, AutoV1, AutoV2, AutoV3, DATA (all of AutoV3), TENSORS (`registry.formats`); upper-case hex."
    )
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
        return places.hide(file.blob.detected) if file.blob else {}

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
    outcome = serializers.SerializerMethodField(help_text="How it was made and what was compared; null for what was not converted here.")
    timeline = StepAnswer(many=True, read_only=True)
    queue_place = serializers.SerializerMethodField(help_text="1 is next; null where it does not wait for a worker.")
    made_from = serializers.SerializerMethodField(help_text="What was merged into it; null for what was not merged here.")

    merged_into = serializers.SerializerMethodField(help_text="Ids of the newest files that were merged of it and that you may see.")

    class Meta(FileSummary.Meta):
        fields = [*FileSummary.Meta.fields, "derivatives", "outcome", "timeline", "queue_place", "made_from", "merged_into"]
        read_only_fields = fields

    def get_queue_place(self, file: File) -> int | None:
        return lifecycle.place_in_queue(file)

    @extend_schema_field(MadeFrom(allow_null=True))
    def get_made_from(self, file: File) -> dict[str, Any] | None:
        lineage = merging.lineage_of(self.context["request"].user, file)
        return dict(MadeFrom(lineage).data) if lineage else None

    def get_merged_into(self, file: File) -> list[int]:
        return [other.pk for other in merging.merged_into(self.context["request"].user, file)]

    @extend_schema_field(OutcomeAnswer(allow_null=True))
    def get_outcome(self, file: File) -> dict[str, Any] | None:
        report = outcomes.report_of(file)
        return outcome_answer(file, report) if report else None

    @extend_schema_field(DerivativeAnswer(many=True))
    def get_derivatives(self, file: File) -> list[dict[str, Any]]:
        """Variants with a life of their own, then the files that were derived without one: the safetensors twin of a pickle."""
        request = self.context["request"]
        wanted = list(
            lifecycle.with_places(Derivative.objects.filter(source=file)).select_related("result__blob", "result__version__entry")
        )
        shown = {derivative.result_id for derivative in wanted}
        twins = file.derived.select_related("blob", "version__entry").exclude(pk__in=[pk for pk in shown if pk])  # type: ignore[attr-defined]
        return [
            *(derived_answer("made", twin.recipe, twin, request) for twin in twins),
            *(derived_answer(one.state, one.recipe, one.result, request, one) for one in wanted),
        ]


def derived_answer(state: str, recipe: dict[str, Any], result: File | None, request: Any, life: Derivative | None = None) -> dict[str, Any]:
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


class FoundTensors(serializers.Serializer):
    """The tensors that the scan found. `bytes` counts them as stored."""

    count = serializers.IntegerField()
    bytes = serializers.IntegerField()
    dtypes = serializers.DictField(child=serializers.IntegerField(), help_text="How many of each element type.")


class ReleaseAnswer(serializers.Serializer):
    """A moderator let suspicious bytes through; in force."""

    by = serializers.CharField()
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class EarlierReport(serializers.Serializer):
    scanned_at = serializers.DateTimeField(source="created_at")
    scanner = serializers.CharField()
    policy = serializers.CharField()
    verdict = serializers.ChoiceField(Verdict.choices)


class ScanAnswer(serializers.Serializer):
    """The newest report of the scanner over the file's bytes; `report` is null before the first.

    Texts of the file are shown without hidden characters and cut; they are never markup.
    """

    file_id = serializers.IntegerField()
    sha256 = serializers.CharField(allow_null=True)
    verdict = serializers.ChoiceField(Verdict.choices)
    headline = serializers.CharField(help_text="What was found in this very file, in one sentence.")
    scanner = serializers.CharField(allow_null=True)
    policy = serializers.CharField(allow_null=True)
    scanned_at = serializers.DateTimeField(allow_null=True)
    outdated = serializers.BooleanField(help_text="A newer scanner or policy is in use; the file will be judged again.")
    tensors = FoundTensors(allow_null=True)
    release = ReleaseAnswer(allow_null=True)
    history = EarlierReport(many=True, help_text="Earlier reports on the same bytes, newest first.")
    report = serializers.DictField(
        allow_null=True,
        help_text="As `python -m scanner.pickles FILE --json` prints it, with second_opinions and antivirus.",
    )
    page = serializers.CharField(help_text="The same for people.")
    appeal = serializers.CharField(help_text="Where to tell the moderators that the verdict is wrong.")


def scan_answer(file: File, request: Any) -> dict[str, Any]:
    scan = reports.of_file(file)
    row = scan.row
    return {
        "file_id": file.pk,
        "sha256": file.sha256 or None,
        "verdict": scan.level,
        "headline": scan.sentence,
        "scanner": row.scanner if row else None,
        "policy": row.policy if row else None,
        "scanned_at": row.created_at if row else None,
        "outdated": scan.outdated,
        "tensors": reports.tensors_found(file) or None,
        "release": scan.release,
        "history": scan.history,
        "report": scan.body if row else None,
        "page": f"{origin_of(request)}/files/{file.pk}/scan",
        "appeal": f"{origin_of(request)}/report/version/{file.version_id}",
    }
