"""The reading routes about one repository: info, trees, refs, commits, rights. Bytes are `resolve`, the list is `listing`."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from hub.api.huggingface import listing, safetensors, shapes, trees, wellknown_answers
from hub.api.huggingface.answers import EntryNotFound, HubError, RepoNotFound, RevisionNotFound, answer, endpoint, is_true, with_next
from hub.api.huggingface.history import last_changes, visible_commits
from hub.api.huggingface.reading import asked_paths
from hub.api.huggingface.repositories import Place, find_entry, find_place, place_in
from hub.api.huggingface.wellknown_answers import or_wellknown
from registry import commits, queries
from registry.commits import Row
from registry.models import Commit, CommitTag, Entry, User

COMMITS_PAGE = 50
TREE_PAGE, EXPANDED_PAGE = 1000, 100


@endpoint("GET")
@or_wellknown(wellknown_answers.info)
def info(request: HttpRequest, user: User | None, namespace: str, name: str, revision: str = "") -> HttpResponse:
    """ModelInfo. An entry that has nothing to read yet is shown without a tree, where nobody asks for what a tree would tell."""
    entry = find_entry(user, namespace, name)
    wanted = frozenset(request.GET.getlist("expand") + request.GET.getlist("expand[]"))
    try:
        place = place_in(entry, user, revision or commits.MAIN)
    except RevisionNotFound:
        # Clients of some generations (0.30, 0.31) ask main for `xetEnabled` before they push the first file to it.
        if revision and not (revision == commits.MAIN and wanted and not wanted & listing.OF_TREES):
            raise
        return answer(shapes.only({**shapes.repository(entry), "siblings": []}, wanted))
    shape = shapes.with_tree(shapes.repository(entry), place.version, place.commit, blobs=is_true(request, "blobs"))
    if is_true(request, "securityStatus"):
        shape["securityRepoStatus"] = shapes.security_status(place.commit.tree)
    return answer(shapes.only(shape, wanted))


@endpoint("GET")
@or_wellknown(wellknown_answers.tree)
def tree(request: HttpRequest, user: User | None, namespace: str, name: str, revision: str, path: str = "") -> HttpResponse:
    """Rows below `path`, page by page; pages after the first are of the same commit, whatever happens to the branch."""
    place = find_place(user, namespace, name, revision)
    path = (path or "").strip("/")
    below = [row for row in place.commit.tree if not path or row["path"].startswith(f"{path}/")]
    if path and not below:
        raise EntryNotFound(place.commit.sha)
    found = list(shapes.tree_level(below, path, recursive=is_true(request, "recursive")))
    expand = is_true(request, "expand")
    size = EXPANDED_PAGE if expand else TREE_PAGE
    start = _whole(request, "cursor")
    page = found[start : start + size]
    response = answer(_shown(place, page, expand=expand))
    response["X-Repo-Commit"] = place.commit.sha
    if start + size < len(found):
        arguments = {"namespace": namespace, "name": name, "revision": place.commit.sha, **({"path": path} if path else {})}
        with_next(response, request, reverse("hf-tree", kwargs=arguments), cursor=start + size)
    return response


@endpoint("POST")
@or_wellknown(wellknown_answers.paths_info)
def paths_info(request: HttpRequest, user: User | None, namespace: str, name: str, revision: str) -> HttpResponse:
    """Files and folders of these names; names that do not exist are left out."""
    wanted, expand = asked_paths(request)
    place = find_place(user, namespace, name, revision)
    found: list[Row | shapes.Shape] = []
    rows, folders = {row["path"]: row for row in place.commit.tree}, shapes.folders_of(place.commit.tree)
    for path in dict.fromkeys(path.strip("/") for path in wanted):
        row = rows.get(path) or (trees.find_row(place.commit.tree, path) if path in trees.ALIASES else None)
        found += [{**row, "path": path}] if row else [shapes.tree_folder(path, folders[path])] if path in folders else []
    return answer(_shown(place, found, expand=expand))


def _shown(place: Place, rows: list[Row | shapes.Shape], *, expand: bool) -> list[shapes.Shape]:
    if not expand:
        return [row if "type" in row else shapes.tree_file(row) for row in rows]
    last, scans = last_changes(place), shapes.Scans(rows)
    return [row if "type" in row else shapes.expanded(row, last(row), scans) for row in rows]


def _whole(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 9 else 0


@endpoint("GET")
@or_wellknown(wellknown_answers.refs)
def refs(request: HttpRequest, user: User | None, namespace: str, name: str) -> HttpResponse:
    """`main` and every version as branches, each with its head; the tags that this user may read."""
    entry = find_entry(user, namespace, name)
    versions = list(commits.versions_of(entry, user))
    heads = {pk: commit.sha for pk, commit in trees.heads(versions, user).items()}
    main = commits.main_version(versions)
    branches = [_ref(commits.MAIN, "heads", heads[main.pk])] if main else []
    branches += [_ref(version.branch, "heads", heads[version.pk]) for version in versions]
    body: dict[str, Any] = {"branches": branches, "converts": [], "tags": _tags(entry, user)}
    if is_true(request, "include_prs"):
        body["pullRequests"] = []
    return answer(body)


def _tags(entry: Entry, user: User | None) -> list[shapes.Shape]:
    found = CommitTag.objects.filter(entry=entry, commit__version__in=commits.versions_of(entry, user)).select_related("commit")
    if not queries.may_edit(user, entry):
        found = found.filter(commit__open=True)
    return [_ref(tag.name, "tags", tag.commit.sha) for tag in found]


def _ref(name: str, kind: str, sha: str) -> shapes.Shape:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}


@endpoint("GET")
@or_wellknown(wellknown_answers.history)
def history(request: HttpRequest, user: User | None, namespace: str, name: str, revision: str) -> HttpResponse:
    """The commits of a version that this user may see, newest first, page by page."""
    place = find_place(user, namespace, name, revision)
    found = visible_commits(place, user)
    before = _whole(request, "cursor")
    if before:
        found = found.filter(pk__lt=before)
    rows: list[Commit] = list(found.select_related("author").defer("tree")[: COMMITS_PAGE + 1])
    response = answer([shapes.commit(row) for row in rows[:COMMITS_PAGE]])
    if len(rows) > COMMITS_PAGE:
        with_next(response, request, request.path, cursor=rows[COMMITS_PAGE - 1].pk)
    return response


@endpoint("GET")
@or_wellknown(wellknown_answers.auth_check)
def auth_check(request: HttpRequest, user: User | None, namespace: str, name: str, access: str = "") -> HttpResponse:
    """{} where the user may read (or write), else the refusal."""
    entry = find_entry(user, namespace, name)
    if access and user is None:
        raise HubError(401, "Send a token: writing is for the repository's owner.")
    if access and not queries.may_edit(user, entry):
        raise HubError(403, "You may read this repository, but not write to it.")
    return answer({})


@endpoint("GET")
def safetensors_metadata(request: HttpRequest, user: User | None, namespace: str, name: str, path: str) -> HttpResponse:
    """The headers of every shard that an index file on main names, in one answer."""
    return answer(safetensors.sharded(find_place(user, namespace, name, commits.MAIN), path))


NO_XET = (
    "This hub does not take uploads by Xet. Set the environment variable HF_HUB_DISABLE_XET=1 and run the same command again: "
    "the files then go up by LFS."
)
XET_HINT = "set-HF_HUB_DISABLE_XET=1-and-run-the-same-command-again"


@endpoint("GET", "POST")
def xet_token(request: HttpRequest, user: User | None, namespace: str, name: str, rest: str = "") -> HttpResponse:
    """This hub has no Xet store. Clients that send nothing else must be told by their environment to use LFS.

    hf_xet shows nothing of an answer but its status and address, so the address is made to say it.
    """
    find_entry(user, namespace, name)
    if not rest.endswith(XET_HINT):
        response = HttpResponse(status=307)
        response["Location"] = f"{request.path.rstrip('/')}/{XET_HINT}"
        return response
    raise HubError(404, NO_XET, "XetNotSupported")


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE")
def no_such_route(request: HttpRequest, user: User | None, namespace: str, name: str, rest: str = "") -> HttpResponse:
    """Whatever else clients ask of a repository (discussions, pull requests, comparing): it is not here."""
    find_entry(user, namespace, name)
    raise HubError(404, "This hub has no such route. It serves models: info, trees, files, branches, tags, commits and uploads.")


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE")
def no_repository(request: HttpRequest, user: User | None, rest: str = "") -> HttpResponse:
    """Datasets, spaces and the like: there are only models here."""
    raise RepoNotFound(user)


@endpoint("GET")
def nothing(request: HttpRequest, user: User | None) -> HttpResponse:
    """The list of a kind of repository of which there are none."""
    return answer([])


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE")
def unknown(request: HttpRequest, user: User | None, rest: str = "") -> HttpResponse:
    raise HubError(404, "This hub has no such route.")
