"""The columns that a row with a life carries. The moves themselves are in `registry/lifecycle.py`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from registry.lifecycle import Life


class Living(models.Model):
    """Abstract: state, turn, lease, attempts and the last error of a row that workers move along."""

    LIFE: ClassVar[Life]

    turn = models.PositiveIntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    moved_at = models.DateTimeField(default=timezone.now, editable=False)
    send_after = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="No worker is told of this row again before then; empty means at once."
    )
    error_code = models.CharField(max_length=60, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        abstract = True
