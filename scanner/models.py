"""What was found in a blob, by which rules, when; who let it through; and where other scanners disagree.

Reports are append-only: a new scan is a new row. The verdict in force lies on the blob itself.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.lifecycle import RESCAN_LIFE, RescanState
from registry.models import Blob, Verdict
from registry.models.living import Living


class ScanReport(models.Model):
    """The whole report of one scan; `report` has the shape of `python -m scanner.pickles FILE --json`, with opinions beside it."""

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


class Release(models.Model):
    """A moderator's word that suspicious bytes may be served: for this blob and exactly this set of unknown names.

    A later scan that finds other names, or worse than suspicious, ends its effect (`Blob.released` says whether it has one).
    Rows are kept for ever; `withdrawn_at` ends one.
    """

    blob = models.ForeignKey(Blob, models.CASCADE, related_name="releases")
    names = models.JSONField(help_text='Sorted list of the unknown globals that were accepted: ["package.module.Class", ...].')
    reason = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField(max_length=150, help_text="Kept beside the account, which may go.")
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by_name = models.CharField(max_length=150, blank=True)
    withdrawn_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["blob"], condition=models.Q(withdrawn_at=None), name="release_one_in_force"),
        ]

    def __str__(self) -> str:
        return f"release of {self.blob_id} by {self.by_name}"


class Rescan(Living):
    """Known bytes that are to be judged again, beside their files' lives: what is served stays served until a worse verdict."""

    LIFE = RESCAN_LIFE

    class Reason(models.TextChoices):
        SCANNER = "scanner"
        POLICY = "policy"
        ASKED = "asked"

    blob = models.ForeignKey(Blob, models.CASCADE, related_name="rescans")
    reason = models.CharField(max_length=8, choices=Reason.choices)
    state = models.CharField(max_length=10, choices=RescanState.choices, default=RescanState.WANTED)
    key = models.CharField(max_length=80, blank=True, help_text="Scanner and policy version under which it was asked for.")
    before = models.CharField(max_length=10, blank=True, help_text="The verdict when it was asked for.")
    after = models.CharField(max_length=10, blank=True, help_text="The verdict that came out.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["state", "moved_at"], name="rescan_state_moved")]
        constraints = [
            models.UniqueConstraint(
                fields=["blob"], condition=models.Q(state__in=[RescanState.WANTED, RescanState.SCANNING]), name="rescan_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"rescan of {self.blob_id}: {self.state}"


class Disagreement(models.Model):
    """Another scanner calls dangerous what we called a success, or fails where it should not: for moderators and maintainers to look at."""

    report = models.ForeignKey(ScanReport, models.CASCADE, related_name="disagreements")
    blob = models.ForeignKey(Blob, models.CASCADE, related_name="disagreements")
    tool = models.CharField(max_length=60, help_text="Name and version of the other scanner.")
    said = models.CharField(max_length=60, help_text="Its own word.")
    ours = models.CharField(max_length=10, choices=Verdict.choices, help_text="Our verdict before its opinion was counted.")
    detail = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by_name = models.CharField(max_length=150, blank=True)
    settled_note = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["created_at"], condition=models.Q(settled_at=None), name="disagreement_open")]
        constraints = [models.UniqueConstraint(fields=["report", "tool"], name="disagreement_once")]

    def __str__(self) -> str:
        return f"{self.tool} on {self.blob_id}: {self.said}"
