"""Repositories, branches and tags as programs make, change and delete them. A branch is a draft version, a tag names a commit."""

from __future__ import annotations

import re
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from hub.api.huggingface import trees
from hub.api.huggingface.answers import HubError, RevisionNotFound, answer
from hub.api.huggingface.bodies import json_body, text_of
from hub.api.huggingface.repositories import find_revision, repo_id
from hub.api.huggingface.writing import entry_to_write, writes
from hub.downloads import origin_of
from registry import catalog, commits, pushes, uploads
from registry.models import CLOSED, Commit, CommitTag, Entry, File, Role, User, Version, Visibility
from registry.pushes import Exists

TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
ONLY_MODELS = "This hub keeps models only, no datasets and no Spaces."


@writes("POST")
def create(request: HttpRequest, user: User) -> HttpResponse:
    """POST /api/repos/create"""
    fields = json_body(request)
    _check_type(fields)
    name, namespace = text_of(fields, "name", 100), text_of(fields, "organization", 100, user.username)
    if namespace != user.username:
        raise HubError(403, f"You can create models under your own name only: {user.username}/{name}.")
    address = f"{origin_of(request)}/{namespace}/{name}"
    try:
        entry = pushes.create(user, name, _visibility(fields) or Visibility.PUBLIC)
    except Exists as known:
        return answer({"error": known.sentence, "url": address}, 409)
    return answer({"url": address, "name": repo_id(entry), "id": str(entry.pk)})


@writes("DELETE")
def delete(request: HttpRequest, user: User) -> HttpResponse:
    """DELETE /api/repos/delete: of what was published a tombstone stays, as when its page is deleted."""
    fields = json_body(request)
    _check_type(fields)
    catalog.delete_entry(entry_to_write(user, text_of(fields, "organization", 100, user.username), text_of(fields, "name", 100)))
    return answer({})


@writes("PUT")
def settings(request: HttpRequest, user: User, namespace: str, name: str) -> HttpResponse:
    """PUT /api/models/{R}/settings: who may see it. Publishing is another matter: a draft is seen by nobody else, whatever it says here."""
    entry = entry_to_write(user, namespace, name)
    fields = json_body(request)
    if fields.get("gated") not in (None, False, "false", "False"):
        raise HubError(400, "This hub knows no access on request. Make the model private, or unlisted on its page.")
    visibility = _visibility(fields)
    public = entry.visibility not in CLOSED
    if visibility and public != (visibility == Visibility.PUBLIC):
        catalog.change_entry(entry, visibility=visibility)
    return answer({"visibility": "private" if entry.visibility in CLOSED else "public", "gated": False})


@writes("POST")
def move(request: HttpRequest, user: User) -> HttpResponse:
    """POST /api/repos/move: another name for a model that was never published."""
    fields = json_body(request)
    _check_type(fields)
    source, target = (text_of(fields, key, 200).split("/") for key in ("fromRepo", "toRepo"))
    if len(source) != 2 or len(target) != 2:
        raise HubError(400, "fromRepo and toRepo must be names such as alice/model.")
    entry = entry_to_write(user, *source)
    if target[0] != source[0]:
        raise HubError(400, "A model stays with its creator here; it can only be given another name.")
    try:
        with transaction.atomic():
            pushes.rename(entry, target[1])
    except Exists as known:
        raise HubError(409, known.sentence) from None
    return answer({"url": f"{origin_of(request)}/{target[0]}/{target[1]}"})


@writes("POST", "DELETE")
def branch(request: HttpRequest, user: User, namespace: str, name: str, branch: str) -> HttpResponse:
    """POST: a draft version of this name, empty or with the files of `startingPoint`. DELETE: as deleting the version on its page."""
    entry = entry_to_write(user, namespace, name)
    if request.method == "DELETE":
        return _delete_branch(entry, user, branch)
    fields = json_body(request)
    try:
        start = fields.get("startingPoint")
        if branch == commits.MAIN and start is None:
            raise Exists("branch:exists", "Reference already exists: main")
        with transaction.atomic():
            source = _tree_of(entry, user, text_of(fields, "startingPoint", 200)) if start is not None else None
            version = pushes.create_branch(entry, branch)
            if source is not None:
                _copy(version, user, source)
    except Exists as known:
        raise HubError(409, known.sentence) from None
    return answer({})


def _delete_branch(entry: Entry, user: User, branch: str) -> HttpResponse:
    if branch == commits.MAIN:
        raise HubError(400, "main is the model's default version. Delete the version by its own name, or the whole model.")
    version = commits.versions_of(entry, user).filter(branch=branch).first()
    if version is None:
        raise RevisionNotFound(branch)
    catalog.delete_version(version)
    return answer({})


def _tree_of(entry: Entry, user: User, revision: str) -> Commit:
    found = find_revision(entry, user, revision)
    return found.commit or trees.head(found.version, user)


def _copy(version: Version, user: User, source: Commit) -> None:
    """Link what people uploaded into the new version, and keep their texts; what the hub derives is derived again."""
    rows = []
    for row in source.tree:
        if row.get("kept"):
            rows.append(row)
        elif "file" in row:
            file = (
                File.objects.filter(pk=row["file"], role=Role.UPLOADED, blob__stored=True, blob__sealed=False)
                .select_related("blob")
                .first()
            )
            if file is not None and file.blob is not None:
                rows.append(commits.file_row(uploads.link(version, file.name, file.blob, path=file.path), row["path"]))
    open_now = not any("file" in row for row in rows)
    commits.freeze(version, rows, author=user, title=f"Start from {source.sha[:12]}", open=open_now, parent=None)


@writes("POST", "DELETE")
def tag(request: HttpRequest, user: User, namespace: str, name: str, revision: str) -> HttpResponse:
    """POST tag/{revision}: a name for what the revision holds now. DELETE tag/{name}."""
    entry = entry_to_write(user, namespace, name)
    if request.method == "DELETE":
        count, _ = CommitTag.objects.filter(entry=entry, name=revision.removeprefix("refs/tags/")).delete()
        if not count:
            raise RevisionNotFound(revision)
        return answer({})
    fields = json_body(request)
    wanted = text_of(fields, "tag", 200)
    _check_tag(entry, wanted)
    commit = _tree_of(entry, user, revision)
    try:
        with transaction.atomic():
            CommitTag.objects.create(entry=entry, name=wanted, commit=commit, message=text_of(fields, "message", 5_000, "")[:500])
    except IntegrityError:
        raise HubError(409, f"Tag reference exists already: {wanted}") from None
    return answer({})


def _check_tag(entry: Entry, wanted: str) -> None:
    """Raises `HubError` for a name that a revision cannot have besides what it means already."""
    if not TAG.fullmatch(wanted) or ".." in wanted or wanted.isdigit() or commits.SHA.fullmatch(wanted) or wanted == commits.MAIN:
        raise HubError(400, "A tag has at most 80 letters (a-z), digits and .+_- and is no number, no commit and not main.")
    if entry.versions.filter(branch=wanted).exists():
        raise HubError(409, f"There is a branch of this name: {wanted}")


def _check_type(fields: dict[str, Any]) -> None:
    if fields.get("type") not in (None, "model"):
        raise HubError(400, ONLY_MODELS)


def _visibility(fields: dict[str, Any]) -> str:
    """Visibility that is asked for, in the words of new clients or of old ones; "" for none."""
    given = fields.get("visibility")
    if given is None and fields.get("private") is not None:
        given = "private" if fields["private"] is True else "public"
    if given in (None, "private", "public"):
        return given or ""
    raise HubError(400, "visibility must be private or public.")
