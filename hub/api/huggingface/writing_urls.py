"""Addresses by which this protocol writes: repositories, branches, tags, commits, large files. Reading is in `urls.py`."""

from __future__ import annotations

from django.urls import path, re_path

from hub.api.huggingface import changing, committing, lfs

REPO = r"(?P<namespace>[^/]+)/(?P<name>[^/]+)"

urlpatterns = [
    path("api/repos/create", changing.create, name="hf-create"),
    path("api/repos/delete", changing.delete, name="hf-delete"),
    path("api/repos/move", changing.move, name="hf-move"),
    path("api/validate-yaml", committing.validate_yaml, name="hf-validate-yaml"),
    re_path(rf"^api/models/{REPO}/settings$", changing.settings, name="hf-settings"),
    re_path(rf"^api/models/{REPO}/branch/(?P<branch>.+)$", changing.branch, name="hf-branch"),
    re_path(rf"^api/models/{REPO}/tag/(?P<revision>.+)$", changing.tag, name="hf-tag"),
    re_path(rf"^api/models/{REPO}/preupload/(?P<revision>.+)$", committing.preupload, name="hf-preupload"),
    re_path(rf"^api/models/{REPO}/commit/(?P<revision>.+)$", committing.commit, name="hf-commit"),
    re_path(rf"^{REPO}\.git/info/lfs/objects/batch$", lfs.batch, name="hf-lfs-batch"),
    path("_lfs/complete", lfs.complete, name="hf-lfs-complete"),
    path("_lfs/verify", lfs.verify, name="hf-lfs-verify"),
]
