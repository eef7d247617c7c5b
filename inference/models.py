"""Wanted variants of files, and merges, each with its own small life: a failed one never holds back a download."""

from __future__ import annotations

from django.db import models

from registry.lifecycle import DERIVATIVE_LIFE, MERGE_LIFE, DerivativeState, MergeState
from registry.models import Entry, File, Living, User


class Derivative(Living):
    """A variant that is wanted of `source` by `recipe`; `result` is the derived file once it is made."""

    LIFE = DERIVATIVE_LIFE

    source = models.ForeignKey(File, models.CASCADE, related_name="derivatives")
    recipe = models.JSONField(help_text='{"keep": "all|weights|ema", "precision": "keep|fp32|fp16|bf16"}')
    state = models.CharField(max_length=8, choices=DerivativeState.choices, default=DerivativeState.WANTED)
    result = models.OneToOneField(File, models.SET_NULL, null=True, blank=True, related_name="made_by")
    outcome = models.JSONField(default=dict, blank=True, help_text="What the converter compared and counted.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["state", "moved_at"], name="derivative_state_moved")]
        constraints = [models.UniqueConstraint(fields=["source", "recipe"], name="derivative_once")]

    def __str__(self) -> str:
        return f"{self.recipe} of {self.source_id}"


class Merge(Living):
    """A merge that somebody asked for; `result` is its file, in a draft version that is made together with it.

    Rows are kept: with their inputs they are the lineage of the result.
    """

    LIFE = MERGE_LIFE

    owner = models.ForeignKey(User, models.CASCADE, related_name="merges")
    recipe = models.JSONField(help_text="MergeRecipe.to_json() of inference.weights.merging; its roles are the inputs' roles.")
    state = models.CharField(max_length=9, choices=MergeState.choices, default=MergeState.WANTED)
    entry = models.ForeignKey(Entry, models.SET_NULL, null=True, blank=True, related_name="merges", help_text="Where the result goes.")
    entry_name = models.CharField(
        max_length=120, blank=True, help_text="Name of the entry that is made for the result; empty for a known one."
    )
    file_name = models.CharField(max_length=255)
    licence = models.JSONField(default=dict, blank=True, help_text="What the inputs allow together: the columns of an entry.")
    notes = models.JSONField(default=list, blank=True, help_text="Sentences for the owner: what was taken instead of what was named.")
    done_bytes = models.PositiveBigIntegerField(default=0)
    total_bytes = models.PositiveBigIntegerField(default=0)
    result = models.OneToOneField(File, models.SET_NULL, null=True, blank=True, related_name="merge")
    outcome = models.JSONField(default=dict, blank=True, help_text="What the merger counted.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "moved_at"], name="merge_state_moved")]

    def __str__(self) -> str:
        return f"merge {self.pk}: {self.state}"


class MergeInput(models.Model):
    """One file that a merge reads, by the role that the recipe gives it. What it was stays known when the file goes."""

    merge = models.ForeignKey(Merge, models.CASCADE, related_name="inputs")
    role = models.CharField(max_length=16, help_text='"a", "b", "c", "vae", "lora:0"...')
    file = models.ForeignKey(File, models.SET_NULL, null=True, blank=True, related_name="merged_into")
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=255)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["merge", "role"], name="merge_input_role")]

    def __str__(self) -> str:
        return f"{self.role} of merge {self.merge_id}"
