"""Django's admin over the registry: for looking and for repair, not for daily work."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from registry.models import Blob, Entry, File, Tag, Token, Upload, User, Version

admin.site.site_header = "Weighhouse administration"
admin.site.site_title = "Weighhouse"


@admin.register(User)
class PeopleAdmin(UserAdmin):
    fieldsets = (*UserAdmin.fieldsets, ("Weighhouse", {"fields": ("is_moderator", "max_rating")}))
    list_display = ("username", "email", "is_moderator", "is_staff", "date_joined")


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):
    list_display = ("name", "kind", "owner", "visibility", "live", "published_at", "download_count")
    list_filter = ("kind", "visibility", "live", "rating")
    search_fields = ("name", "owner__username")
    raw_id_fields = ("owner",)
    exclude = ("search",)


@admin.register(Version)
class VersionAdmin(admin.ModelAdmin):
    list_display = ("__str__", "status", "base_model", "published_at")
    list_filter = ("status", "base_model")
    raw_id_fields = ("entry",)
    search_fields = ("name", "entry__name")


@admin.register(File)
class FileAdmin(admin.ModelAdmin):
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


admin.site.register(Tag)
