"""The addresses of our own REST API, under `/api/hub/`. None ends in a slash but the two that describe it."""

from __future__ import annotations

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from hub.api.hub import docs, entries, files, judging, merges, recognition, renders, tensors, uploads, variants, versions, views

urlpatterns = [
    path("entries", entries.Entries.as_view()),
    path("entries/<int:pk>", entries.OneEntry.as_view()),
    path("entries/<int:pk>/versions", versions.Versions.as_view()),
    path("versions/<int:pk>", versions.OneVersion.as_view()),
    path("versions/<int:pk>/publish", versions.Publish.as_view()),
    path("versions/<int:pk>/answers", versions.Answers.as_view()),
    path("versions/<int:pk>/uploads", uploads.Uploads.as_view()),
    path("identify", recognition.Identify.as_view()),
    path("known/<str:sha256>", recognition.Known.as_view()),
    path("uploads/<uuid:pk>", uploads.OneUpload.as_view()),
    path("uploads/<uuid:pk>/parts", uploads.PartUrls.as_view()),
    path("uploads/<uuid:pk>/complete", uploads.Complete.as_view()),
    path("files/<int:pk>", files.OneFile.as_view()),
    path("files/<int:pk>/tensors", tensors.Tensors.as_view()),
    path("files/<int:pk>/fits", tensors.Fits.as_view()),
    path("files/<int:pk>/metadata", tensors.Metadata.as_view()),
    path("files/<int:pk>/header", tensors.Header.as_view()),
    path("files/<int:pk>/scan", files.Scan.as_view()),
    path("files/<int:pk>/retry", files.Retry.as_view()),
    path("files/<int:pk>/rescan", judging.JudgeAgain.as_view()),
    path("files/<int:pk>/extract", judging.Extract.as_view()),
    path("files/<int:pk>/variants", variants.Variants.as_view()),
    path("merges", merges.Merges.as_view()),
    path("merges/<int:pk>", merges.OneMerge.as_view()),
    path("merges/<int:pk>/retry", merges.RetryMerge.as_view()),
    path("renders", renders.Renders.as_view()),
    path("renders/<int:pk>", renders.OneRender.as_view()),
    path("renders/<int:pk>/retry", renders.RetryRender.as_view()),
    path("renders/<int:pk>/events", renders.RenderEvents.as_view()),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", docs.page, name="api-docs"),
    re_path("", views.nothing_here),
]
