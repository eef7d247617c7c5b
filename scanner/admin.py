"""Django's admin over what was found, released and judged again: a record, so only for looking. Acting is done on the moderators' page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from scanner.models import Disagreement, Release, Rescan, ScanReport


class Record(admin.ModelAdmin):
    """Nothing is added or changed here; what is written was written by a scan or on a page that asks for a reason."""

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: object, obj: Any = None) -> bool:
        return False


@admin.register(ScanReport)
class ScanReportAdmin(Record):
    list_display = ("blob", "verdict", "scanner", "policy", "created_at")
    list_filter = ("verdict", "scanner", "policy")
    search_fields = ("blob__sha256",)


@admin.register(Release)
class ReleaseAdmin(Record):
    list_display = ("blob", "by_name", "created_at", "withdrawn_at", "withdrawn_by_name")
    search_fields = ("blob__sha256", "by_name", "reason")


@admin.register(Rescan)
class RescanAdmin(Record):
    list_display = ("blob", "reason", "state", "before", "after", "key", "moved_at", "error_code")
    list_filter = ("state", "reason")
    search_fields = ("blob__sha256",)


@admin.register(Disagreement)
class DisagreementAdmin(Record):
    list_display = ("blob", "tool", "said", "ours", "created_at", "settled_at", "settled_by_name")
    list_filter = ("tool", "said")
    search_fields = ("blob__sha256",)
