"""Wanted variants of files and their own small life: a failed variant never holds back a download."""

from __future__ import annotations

from django.db import models

from registry.lifecycle import DERIVATIVE_LIFE, DerivativeState
from registry.models import File, Living


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
