"""Addresses of the pages. Last in the site's map: `/<creator>/<slug>` takes whatever no other door took."""

from __future__ import annotations

from django.urls import path, re_path, register_converter
from django.urls.converters import SlugConverter
from django.views.generic import RedirectView

from hub import languages
from hub.web import (
    accounts,
    art,
    catalog,
    changes,
    collections,
    compare,
    detected,
    files,
    lineage,
    merges,
    merging_page,
    modelpage,
    moderation,
    pictures,
    previews,
    recipe,
    renders,
    reports,
    reviews,
    saving,
    scanpage,
    several,
    site,
    tensors,
    training,
    uploads,
    variants,
    wishes,
    workswith,
)


class EntrySlug(SlugConverter):
    """Slugs that the pages make, and those that were pushed, which may have dots."""

    regex = "[-a-zA-Z0-9_.]+"


register_converter(EntrySlug, "entry")

file_reports = [
    path("<int:pk>/scan", scanpage.show, name="file-scan"),
    path("<int:pk>/scan.json", scanpage.as_json),
    path("<int:pk>/release", moderation.release, name="release-file"),
    path("<int:pk>/rescan", moderation.rescan, name="rescan-file"),
    path("<int:pk>/extract", moderation.extract, name="extract-tensors"),
]
"""Below `/files/`, where the signed downloads are too: no file can have such a name (`registry.names`)."""

urlpatterns = [
    path("", catalog.home, name="home"),
    path("about", catalog.about, name="about"),
    path("about/scanning", scanpage.glossary, name="scan-glossary"),
    path("works", workswith.choose, name="works-with"),
    path("theme", site.set_theme, name="theme"),
    path("language", languages.set_language, name="language"),
    path("settings/files", wishes.save, name="file-wish"),
    path("art/<slug:version>/<slug:kind>/<entry:seed>.svg", art.art, name="art"),
    path("models/<int:pk>", catalog.model_by_id, name="model-by-id"),
    path("models/<int:pk>/edit", changes.edit_entry, name="edit-model"),
    path("models/<int:pk>/delete", changes.delete_entry, name="delete-model"),
    path("models/<int:pk>/save", saving.save, name="save"),
    path("models/<int:pk>/<str:title>", catalog.model_by_id, name="model-by-title"),
    path("model-versions/<int:pk>", catalog.version_by_id, name="version-by-id"),
    path("model-versions/<int:pk>/lineage", lineage.show, name="lineage"),
    path("model-versions/<int:pk>/edit", changes.edit_version, name="edit-version"),
    path("model-versions/<int:pk>/publish", changes.publish, name="publish"),
    path("model-versions/<int:pk>/answer", changes.answer, name="answer-question"),
    path("model-versions/<int:pk>/withdraw", changes.withdraw, name="withdraw"),
    path("model-versions/<int:pk>/delete", changes.delete_version, name="delete-version"),
    path("model-versions/<int:pk>/previews", previews.section, name="previews"),
    path("model-versions/<int:pk>/previews/again", previews.again, name="render-previews"),
    path("model-versions/<int:pk>/previews/cancel", previews.cancel, name="cancel-previews"),
    path("model-versions/<int:pk>/previews/settings", previews.settings, name="preview-settings"),
    path("model-versions/<int:pk>/try", renders.ask, name="try"),
    path("model-versions/<int:pk>/reviews", reviews.show, name="reviews"),
    path("model-versions/<int:pk>/reviews/delete", reviews.take_back, name="delete-review"),
    path("my/saved", saving.mine, name="my-saved"),
    path("collections/<int:pk>", collections.show, name="collection"),
    path("collections/<int:pk>/edit", collections.edit, name="edit-collection"),
    path("report/<slug:about>/<int:pk>", reports.report, name="report"),
    path("moderation/reports/<slug:about>/<int:pk>", reports.decide, name="decide-report"),
    path("moderation/reports/<int:pk>/undo", reports.take_back, name="undo-report"),
    path("my/reports", reports.mine, name="my-reports"),
    path("reviews/<int:pk>/answer", reviews.answer, name="answer-review"),
    path("reviews/<int:pk>/hide", reviews.hide, name="hide-review"),
    path("picture/<int:pk>", recipe.show, name="picture"),
    path("compare", compare.show, name="compare"),
    path("compare/pictures", compare.ask, name="compare-ask"),
    path("renders/<int:pk>", renders.show, name="render"),
    path("renders/<int:pk>/cancel", renders.cancel, name="cancel-render"),
    path("renders/<int:pk>/retry", renders.retry, name="retry-render"),
    path("upload", uploads.start, name="upload"),
    path("upload/several", several.show, name="upload-several"),
    path("upload/several/create", several.create, name="create-several"),
    path("upload/several/work", several.work, name="several-work"),
    path("upload/<int:pk>", uploads.files, name="upload-files"),
    path("upload/<int:pk>/work", uploads.work, name="upload-work"),
    path("upload/<int:pk>/events", uploads.events, name="upload-events"),
    path("upload/<uuid:pk>/discard", uploads.discard, name="upload-discard"),
    path("file/<int:pk>", files.show, name="file"),
    path("file/<int:pk>/tensors", tensors.show, name="file-tensors"),
    path("file/<int:pk>/fits", tensors.fits, name="file-fits"),
    path("file/<int:pk>/training", training.show, name="file-training"),
    path("file/<int:pk>/words", detected.add_word, name="add-word"),
    path("file/<int:pk>/events", files.events, name="file-events"),
    path("file/<int:pk>/timeline", files.timeline, name="file-timeline"),
    path("file/<int:pk>/scan", RedirectView.as_view(pattern_name="file-scan", permanent=True)),
    path("file/<int:pk>/retry", files.retry, name="file-retry"),
    path("file/<int:pk>/variants", variants.ask, name="ask-variant"),
    re_path(
        r"^pictures/(?P<sha256>[0-9a-f]{64})/(?P<size>(?a:[\w=,.-]{1,80}))/(?P<name>(?a:[\w.-]{1,150}))$",
        pictures.send,
        name="picture-bytes",
    ),
    path("moderation", moderation.desk, name="moderation"),
    path("moderation/releases/<int:pk>/withdraw", moderation.withdraw, name="withdraw-release"),
    path("moderation/disagreements/<int:pk>/settle", moderation.settle, name="settle-disagreement"),
    path("account", accounts.account, name="account"),
    path("account/tokens", accounts.tokens, name="tokens"),
    path("account/tokens/<int:pk>/revoke", accounts.revoke_token, name="revoke-token"),
    path("my/models", accounts.my_models, name="my-models"),
    path("my/pictures", renders.mine, name="my-pictures"),
    path("my/merges", merges.running, name="my-merges"),
    path("merge", merging_page.page, name="merge"),
    path("merge/check", merging_page.check, name="merge-check"),
    path("merge/files", merging_page.files, name="merge-files"),
    path("my/merges/<int:pk>", merges.show, name="merge-work"),
    path("my/merges/<int:pk>/cancel", merges.cancel, name="cancel-merge"),
    path("my/merges/<int:pk>/retry", merges.retry, name="retry-merge"),
    path("<slug:creator>", catalog.creator, name="creator"),
    path("<slug:creator>/<entry:slug>", modelpage.show, name="model"),
    path("<slug:creator>/<entry:slug>/v/<int:version>", modelpage.show, name="model-version"),
]
