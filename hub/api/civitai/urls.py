"""Addresses of the Civitai API: what is read (`api/v1/`) and what is fetched (`api/download/`)."""

from django.urls import path

from hub.api.civitai import delivery, views

reading = [
    path("models", views.models, name="civitai-models"),
    path("models/<str:entry_id>", views.model, name="civitai-model"),
    path("model-versions/by-hash/<str:value>", views.by_hash, name="civitai-by-hash"),
    path("model-versions/<str:version_id>", views.version, name="civitai-version"),
    path("<path:rest>", views.unknown),
]
fetching = [
    path("models/<str:version_id>", delivery.download, name="civitai-download"),
    path("<path:rest>", views.unknown),
]
