"""The map of addresses: which door leads where. Each protocol and page family keeps its own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from hub.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
]
