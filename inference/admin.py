"""Django's admin over derivatives, merges and renders, for looking; default bases of add-ons are chosen here."""

from __future__ import annotations

from django.contrib import admin

from inference.models import Derivative, FamilyBase, Merge, MergeInput, PreviewSettings, Render, RenderWorker


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


@admin.register(FamilyBase)
class FamilyBaseAdmin(admin.ModelAdmin):
    """On which checkpoint add-ons of a family are rendered whose owner names none."""

    list_display = ("family", "version")
    raw_id_fields = ("version",)


@admin.register(PreviewSettings)
class PreviewSettingsAdmin(admin.ModelAdmin):
    list_display = ("version", "enabled", "base", "prediction")
    raw_id_fields = ("version", "base")


@admin.register(Render)
class RenderAdmin(admin.ModelAdmin):
    list_display = ("id", "purpose", "version", "owner", "state", "weight_bytes", "note", "moved_at", "error_code")
    list_filter = ("state", "purpose")
    raw_id_fields = ("owner", "version", "file", "base")
    readonly_fields = ("state", "turn", "recipe", "files", "weight_bytes", "steps_done", "steps_total", "outcome")


@admin.register(RenderWorker)
class RenderWorkerAdmin(admin.ModelAdmin):
    """They report themselves; nothing here is to be changed."""

    list_display = ("name", "device", "device_name", "memory_bytes", "largest_weights", "seen_at")

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False
