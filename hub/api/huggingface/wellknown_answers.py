"""The reading routes for `wellknown` repositories: asked only where no repository of that name is there for the caller.

Whatever branch is asked for, these have the one tree: diffusers asks the configurations for the revision that the weights have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from hub.api.huggingface import shapes, textfiles, wellknown
from hub.api.huggingface.answers import EntryNotFound, HubError, RepoNotFound, RevisionNotFound, answer, is_true, iso
from hub.api.huggingface.reading import asked_paths
from hub.api.huggingface.security import text_status
from hub.api.huggingface.wellknown import VirtualRepo
from registry.commits import MAIN, SHA, Row
from registry.models import User

Answer = Callable[..., HttpResponse]
TITLE = "Configurations of the published model"


def or_wellknown(instead: Answer) -> Callable[[Answer], Answer]:
    """Wrap a view: where it finds no repository, `instead(request, repo, ...)` answers if the name is a well-known one."""

    def decorate(view: Answer) -> Answer:
        @wraps(view)
        def wrapped(request: HttpRequest, user: User | None, *, namespace: str, name: str, **arguments: Any) -> HttpResponse:
            try:
                return view(request, user, namespace=namespace, name=name, **arguments)
            except RepoNotFound:
                repo = wellknown.find(namespace, name)
                if repo is None:
                    raise
                _check(repo, arguments.get("revision") or MAIN)
                return instead(request, repo, **arguments)

        return wrapped

    return decorate


def _check(repo: VirtualRepo, revision: str) -> None:
    if SHA.fullmatch(revision) and revision != repo.sha:
        raise RevisionNotFound(revision)


def info(request: HttpRequest, repo: VirtualRepo, revision: str = "") -> HttpResponse:
    moment = iso(wellknown.SINCE)
    blobs = is_true(request, "blobs")
    shape = {
        "_id": repo.sha[:24], "id": repo.repo_id, "modelId": repo.repo_id, "author": repo.namespace, "sha": repo.sha,
        "lastModified": moment, "createdAt": moment, "private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0,
        "tags": ["diffusers"], "library_name": "diffusers", "cardData": {"library_name": "diffusers"},
        "siblings": [{"rfilename": row["path"], **({"size": row["size"], "blobId": row["oid"]} if blobs else {})} for row in repo.rows],
    }  # fmt: skip
    return answer(shapes.only(shape, frozenset(request.GET.getlist("expand") + request.GET.getlist("expand[]"))))


def tree(request: HttpRequest, repo: VirtualRepo, revision: str, path: str = "") -> HttpResponse:
    """All rows in one page: there are some twenty."""
    path = (path or "").strip("/")
    below = [row for row in repo.rows if not path or row["path"].startswith(f"{path}/")]
    if not below:
        raise EntryNotFound(repo.sha)
    found = list(shapes.tree_level(below, path, recursive=is_true(request, "recursive")))
    response = answer(_shown(repo.sha, found, is_true(request, "expand")))
    response["X-Repo-Commit"] = repo.sha
    return response


def paths_info(request: HttpRequest, repo: VirtualRepo, revision: str) -> HttpResponse:
    wanted, expand = asked_paths(request)
    return answer(_shown(repo.sha, [row for row in repo.rows if row["path"] in wanted], expand))


def _shown(sha: str, rows: list[Row], expand: bool) -> list[shapes.Shape]:
    brought = {"lastCommit": {"id": sha, "title": TITLE, "date": iso(wellknown.SINCE)}, "securityFileStatus": text_status()}
    return [row if "type" in row else shapes.tree_file(row) | (brought if expand else {}) for row in rows]


def refs(request: HttpRequest, repo: VirtualRepo) -> HttpResponse:
    branch = {"name": MAIN, "ref": f"refs/heads/{MAIN}", "targetCommit": repo.sha}
    body: dict[str, Any] = {"branches": [branch], "converts": [], "tags": []}
    return answer({**body, "pullRequests": []} if is_true(request, "include_prs") else body)


def history(request: HttpRequest, repo: VirtualRepo, revision: str) -> HttpResponse:
    return answer([{"id": repo.sha, "title": TITLE, "message": "", "authors": [{"user": "weighhouse"}], "date": iso(wellknown.SINCE)}])


def auth_check(request: HttpRequest, repo: VirtualRepo, access: str = "") -> HttpResponse:
    if access:
        raise HubError(403, "Nobody writes to this repository: the hub made it.")
    return answer({})


def resolve(request: HttpRequest, repo: VirtualRepo, revision: str, path: str) -> HttpResponse:
    row = next((row for row in repo.rows if row["path"] == path), None)
    if row is None:
        raise EntryNotFound(repo.sha)
    response = textfiles.send(request, row, repo.contents[path])
    response["X-Repo-Commit"] = repo.sha
    return response
