"""Frozen trees: what a version held at a moment, named by 40 hexadecimal digits as git names commits. Never changed once written.

Clients keep a tree by its name for ever, so every change is a new commit. What goes into one is decided by the protocol that shows them.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone

from registry.models.catalog import Entry, Version
from registry.models.people import User


class Commit(models.Model):
    """One frozen tree of a version.

    `tree` is a list of rows in the order that clients see, the primary file first. Each has "path", "size" in bytes and "oid" (git's
    blob id; of the pointer where the bytes are stored by SHA-256). Stored files have "sha256" and "file" (id of the `File`) besides;
    rows without them are texts, stored under their oid in `SmallFile`; "kept": true marks what its creator wrote. A tree never changes;
    `stamp` and nothing else may be renewed.
    """

    sha = models.CharField(max_length=40, unique=True)
    version = models.ForeignKey(Version, models.CASCADE, related_name="commits")
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    author = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", help_text="Empty: the hub itself.")
    title = models.CharField(max_length=200)
    message = models.TextField(blank=True)
    tree = models.JSONField(default=list)
    stamp = models.CharField(max_length=64, blank=True, help_text="Digest of what the hub made it from; equal stamps need no new commit.")
    open = models.BooleanField(default=True, help_text="Everything in it could be downloaded when it was made: readers may see it.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["version", "-id"], name="commit_newest"),
            GinIndex(fields=["tree"], name="commit_tree", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.sha[:7]} {self.title}"


class SmallFile(models.Model):
    """A text or small picture of a tree (a model card, a configuration), kept under git's blob id. Weights are never here.

    `created_at` is renewed, to the half hour, when a tree is written that has it: texts that lie in no tree are forgotten an hour later.
    """

    oid = models.CharField(max_length=40, primary_key=True)
    size_bytes = models.PositiveIntegerField()
    content = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.oid[:12]} ({self.size_bytes:,} bytes)"


class CommitTag(models.Model):
    """A name that somebody gave a commit; unique in its entry."""

    entry = models.ForeignKey(Entry, models.CASCADE, related_name="commit_tags")
    name = models.CharField(max_length=80)
    commit = models.ForeignKey(Commit, models.CASCADE, related_name="tags")
    message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["entry", "name"], name="commit_tag_name")]

    def __str__(self) -> str:
        return self.name
