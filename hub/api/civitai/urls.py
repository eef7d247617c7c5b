"""Addresses of the Civitai API: what is read (`api/v1/`) and what is fetched (`api/download/`)."""

from django.urls import path

from hub.api.civitai import delivery, enums, feed, hashes, mini, openapi, people, permissions, tensors, views

reading = [
    path("models", views.models, name="civitai-models"),
    path("models/<str:entry_id>", views.model, name="civitai-model"),
    path("model-versions/by-hash", hashes.bodies_by_hash, name="civitai-bodies-by-hash"),
    path("model-versions/by-hash/ids", hashes.ids_by_hash, name="civitai-ids-by-hash"),
    path("model-versions/by-hash/<str:value>", hashes.by_hash, name="civitai-by-hash"),
    path("model-versions/mini/<str:version_id>", mini.mini, name="civitai-mini"),
    path("model-versions/<str:version_id>", views.version, name="civitai-version"),
    path("model-files/<str:file_id>/tensor-metadata", tensors.tensor_metadata, name="civitai-tensor-metadata"),
    path("images", feed.images, name="civitai-images"),
    path("creators", people.creators, name="civitai-creators"),
    path("tags", people.tags, name="civitai-tags"),
    path("users", people.users, name="civitai-users"),
    path("me", people.me, name="civitai-me"),
    path("enums", enums.enums, name="civitai-enums"),
    path("openapi.json", openapi.document, name="civitai-openapi"),
    path("permissions/check", permissions.check, name="civitai-permissions"),
    path("<path:rest>", views.unknown),
]
fetching = [
    path("models/<str:version_id>", delivery.download, name="civitai-download"),
    path("<path:rest>", views.unknown),
]
