"""Django's admin over scan reports: append-only, so only for looking."""

from __future__ import annotations

from django.contrib import admin

from scanner.models import ScanReport


@admin.register(ScanReport)
class ScanReportAdmin(admin.ModelAdmin):
    list_display = ("blob", "verdict", "scanner", "policy", "created_at")
    list_filter = ("verdict", "scanner", "policy")
    search_fields = ("blob__sha256",)

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False
