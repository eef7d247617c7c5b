"""What was found in a blob, by which rules, when. Append-only: a new scan is a new row."""

from __future__ import annotations

from django.db import models

from registry.models import Blob, Verdict


class ScanReport(models.Model):
    """The whole report of one scan; `report` has the shape of `python -m scanner.pickles FILE --json`."""

    blob = models.ForeignKey(Blob, models.CASCADE, related_name="scan_reports")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    scanner = models.CharField(max_length=20)
    policy = models.CharField(max_length=20)
    report = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["blob", "scanner", "policy"], name="scan_verdict_key")]

    def __str__(self) -> str:
        return f"{self.verdict} for {self.blob_id}"

    @property
    def headline(self) -> str:
        """The first finding's sentence, or what a clean report means."""
        findings = self.report.get("findings") or []
        if findings:
            return str(findings[0].get("message", ""))
        return "Nothing in this file would run when it is loaded."
