"""Django's admin over derivatives, for looking."""

from __future__ import annotations

from django.contrib import admin

from inference.models import Derivative


@admin.register(Derivative)
class DerivativeAdmin(admin.ModelAdmin):
    list_display = ("source", "recipe", "state", "result", "moved_at", "error_code")
    list_filter = ("state",)
    raw_id_fields = ("source", "result")
    readonly_fields = ("state", "turn", "outcome")
