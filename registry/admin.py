"""Django's admin over the registry: for looking and for repair, not for daily work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from registry import catalog, indexing
from registry.models import Blob, Entry, File, Tag, Token, Upload, User, Version

admin.site.site_header = "Weighhouse administration"
admin.site.site_title = "Weighhouse"


@admin.register(User)
class PeopleAdmin(UserAdmin):
    fieldsets = (*UserAdmin.fieldsets, ("Weighhouse", {"fields": ("is_moderator", "max_rating")}))
    list_display = ("username", "email", "is_moderator", "is_staff", "date_joined")

    def save_model(self, request: Any, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "username" in form.changed_data:
            indexing.index(Entry.objects.filter(owner=obj).values_list("pk", flat=True))


class Indexed(admin.ModelAdmin):
    """What is repaired here is found and filtered as it now is."""

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        for entry in self.entries_of(form.instance):
            catalog.reindex(entry)

    def delete_model(self, request: Any, obj: Any) -> None:
        entries = list(self.entries_of(obj))
        super().delete_model(request, obj)
        for entry in Entry.objects.filter(pk__in=[entry.pk for entry in entries]):
            catalog.reindex(entry)

    def delete_queryset(self, request: Any, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)

    def entries_of(self, row: Any) -> Iterable[Entry]:
        return [row] if isinstance(row, Entry) else row.entries.all() if isinstance(row, Tag) else [entry_of(row)]


def entry_of(row: Version | File) -> Entry:
    return row.entry if isinstance(row, Version) else row.version.entry


@admin.register(Entry)
class EntryAdmin(Indexed):
    list_display = ("name", "kind", "owner", "visibility", "live", "published_at", "download_count")
    list_filter = ("kind", "visibility", "live", "rating")
    search_fields = ("name", "owner__username")
    raw_id_fields = ("owner",)
    exclude = ("search",)


@admin.register(Version)
class VersionAdmin(Indexed):
    list_display = ("__str__", "status", "base_model", "published_at")
    list_filter = ("status", "base_model")
    raw_id_fields = ("entry",)
    search_fields = ("name", "entry__name")


@admin.register(File)
class FileAdmin(Indexed):
    """State and blob are read-only: a file moves by its life, never by a form."""

    list_display = ("name", "version", "role", "state", "size_bytes", "moved_at", "error_code")
    list_filter = ("state", "role")
    search_fields = ("name", "blob__sha256")
    raw_id_fields = ("version", "source", "blob")
    readonly_fields = ("state", "turn", "blob", "attempts", "lease_until", "moved_at", "size_bytes")


@admin.register(Blob)
class BlobAdmin(admin.ModelAdmin):
    list_display = ("sha256", "size_bytes", "verdict", "container", "sealed", "scanned_at")
    list_filter = ("verdict", "sealed", "container")
    search_fields = ("sha256", "hashes__value")

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin):
    list_display = ("name", "owner", "hint", "scope", "expires_at", "last_used_at", "revoked_at")
    raw_id_fields = ("owner",)

    def has_add_permission(self, request: object) -> bool:
        return False


@admin.register(Upload)
class UploadAdmin(admin.ModelAdmin):
    list_display = ("id", "file", "owner", "created_at", "expires_at", "completed_at")
    raw_id_fields = ("file", "owner")


admin.site.register(Tag, Indexed)
