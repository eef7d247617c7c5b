"""The map of addresses: which door leads where. Each protocol and page family keeps its own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from hub import sidecarzip
from hub.api.civitai import urls as civitai
from hub.api.huggingface import urls as huggingface
from hub.downloads import serve
from hub.health import healthz
from hub.metrics import metrics
from hub.web import urls as web

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("healthz/metrics", metrics, name="metrics"),
    path("system/", admin.site.urls),  # not admin/: the first account is called admin, and `/<creator>/<slug>` are its models
    path("accounts/", include("allauth.account.urls")),
    path("api/hub/", include("hub.api.hub.urls")),
    path("api/v1/", include(civitai.reading)),
    path("api/download/", include(civitai.fetching)),
    path("files/", include(web.file_reports)),
    path("files/<int:file_id>/<str:name>", serve, name="file-bytes"),
    path("model-versions/<int:pk>/sidecars.zip", sidecarzip.alone, name="sidecars"),
    path("model-versions/<int:pk>/bundle.zip", sidecarzip.bundle, name="bundle"),
    path("", include(huggingface)),
    path("", include(web)),
]

handler400 = "hub.web.errors.bad_request"
handler403 = "hub.web.errors.forbidden"
handler404 = "hub.web.errors.not_found"
handler500 = "hub.web.errors.broken"
