"""What the browse page filters and sorts by, beside each entry. Written by `registry/facts.py` alone, from what the other tables say."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from registry.models.catalog import Entry, Version
from registry.models.files import File

UNKNOWN_SIZE = 2**62
"""`size_bytes` of an entry without a file to recommend: it sorts behind all others."""


class EntryFacts(models.Model):
    """One row an entry. `rating` is NULL where the entry is not listed, so that counting need not look at entries."""

    entry = models.OneToOneField(Entry, models.CASCADE, related_name="facts", primary_key=True)
    version = models.ForeignKey(Version, models.SET_NULL, null=True, related_name="+", help_text="The published version shown first.")
    file = models.ForeignKey(File, models.SET_NULL, null=True, related_name="+", help_text="Of that version, to recommend.")
    rating = models.PositiveSmallIntegerField(null=True)
    published_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True, help_text="The last change of its page, a published version, or a file of one.")
    size_bytes = models.BigIntegerField(default=UNKNOWN_SIZE)
    base = models.CharField(max_length=60, blank=True, help_text="Declared by that version.")
    family = models.CharField(max_length=80, blank=True, help_text="Proved by the tensors of that version.")
    scan = models.CharField(max_length=10, blank=True, help_text="Of that file: safe, pickle, released; empty where there is none.")
    marks = ArrayField(models.TextField(), default=list, help_text='What filters ask for, as "kind:lora", "tag:landscape", "has:words".')

    class Meta:
        verbose_name_plural = "facts of entries"
        indexes = [
            GinIndex(fields=["marks"], name="facts_marks"),
            models.Index(fields=["-published_at", "-entry"], name="facts_newest", condition=models.Q(rating__isnull=False)),
            models.Index(fields=["-updated_at", "-entry"], name="facts_updated", condition=models.Q(rating__isnull=False)),
            models.Index(fields=["size_bytes", "entry"], name="facts_smallest", condition=models.Q(rating__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"facts of {self.entry_id}"
