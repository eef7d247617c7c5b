"""Django's admin over derivatives and merges, for looking."""

from __future__ import annotations

from django.contrib import admin

from inference.models import Derivative, Merge, MergeInput


@admin.register(Derivative)
class DerivativeAdmin(admin.ModelAdmin):
    list_display = ("source", "recipe", "state", "result", "moved_at", "error_code")
    list_filter = ("state",)
    raw_id_fields = ("source", "result")
    readonly_fields = ("state", "turn", "outcome")


class InputInline(admin.TabularInline):
    model = MergeInput
    extra = 0
    raw_id_fields = ("file",)


@admin.register(Merge)
class MergeAdmin(admin.ModelAdmin):
    list_display = ("id", "owner", "state", "result", "moved_at", "error_code")
    list_filter = ("state",)
    raw_id_fields = ("owner", "entry", "result")
    readonly_fields = ("state", "turn", "outcome")
    inlines = (InputInline,)
