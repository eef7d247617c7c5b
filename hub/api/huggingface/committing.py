"""The steps of a push that carry no large bytes: what may come and which way (preupload), the card's YAML, and the commit itself."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from hub.api.huggingface import trees
from hub.api.huggingface.answers import HubError, RevisionNotFound, answer, is_true
from hub.api.huggingface.bodies import json_body, text_of
from hub.api.huggingface.contents import LFS, mode_of, read_sample
from hub.api.huggingface.operations import read
from hub.api.huggingface.pushing import Pushed, push
from hub.api.huggingface.repositories import repo_id
from hub.api.huggingface.writing import NO_PULL_REQUESTS, entry_to_write, signed, writes
from hub.downloads import origin_of
from registry import cards, commits, pushes, uploads
from registry.formats.errors import FormatError
from registry.models import Entry, Status, User, Version
from registry.repopaths import MAX_PATH, clean_path

MAX_FILES = 1_000
"""Files of one preupload; clients ask for 256 at a time."""


def version_to_write(entry: Entry, user: User, revision: str, *, make: bool) -> Version | None:
    """The version that a push to this revision goes to. `main` of an entry without versions: with `make` its first draft, else None.

    Raises `RevisionNotFound`, and `HubError` 400 for what never changes: a commit or a tag.
    """
    try:
        found = commits.find(entry, user, revision)
    except commits.NoSuchRevision:
        if revision.removeprefix("refs/heads/") != commits.MAIN:
            raise RevisionNotFound(revision) from None
        return pushes.first_version(entry) if make else None
    if found.commit is not None:
        raise HubError(400, f"{revision} names a commit, which never changes. Push to a branch.")
    return found.version


@writes("POST")
def preupload(request: HttpRequest, user: User, namespace: str, name: str, revision: str) -> HttpResponse:
    """POST /api/models/{R}/preupload/{revision}: refuses what will not be taken before a byte of it moves."""
    _refuse_pull_request(request)
    version = version_to_write(entry_to_write(user, namespace, name), user, revision, make=False)
    files = json_body(request).get("files")
    if not isinstance(files, list) or len(files) > MAX_FILES or not all(isinstance(file, dict) for file in files):
        raise HubError(400, f"files must be a list of at most {MAX_FILES:,} objects.")
    rows = {row["path"]: row for row in trees.head(version, user).tree} if version else {}
    asked = [_asked(file) for file in files]
    largest = max((size for _, mode, size in asked if mode == LFS), default=0)
    if largest:
        uploads.check_size(largest, user)
    return answer({"files": [_mode_answer(path, mode, rows) for path, mode, _ in asked]})


def _asked(file: dict[str, Any]) -> tuple[str, str, int]:
    """(path as it was given, mode, size in bytes)"""
    path, size = text_of(file, "path", 4 * MAX_PATH), file.get("size")
    if type(size) is not int or not 0 <= size < 2**63:
        raise HubError(400, f"{path[:200]}: size must be a number of bytes.")
    return path, mode_of(path, read_sample(file.get("sample")), size), size


def _mode_answer(path: str, mode: str, rows: dict[str, commits.Row]) -> dict[str, Any]:
    """`oid` is what is at the path now: clients leave out what they need not send again."""
    row = rows.get(clean_path(path), {})
    known = row.get("sha256") if mode == LFS else row.get("oid") if "sha256" not in row else None
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, **({"oid": known} if known else {})}


@writes("POST")
def commit(request: HttpRequest, user: User, namespace: str, name: str, revision: str) -> HttpResponse:
    """POST /api/models/{R}/commit/{revision}"""
    _refuse_pull_request(request)
    entry = entry_to_write(user, namespace, name)
    header, operations = read(request)
    version = version_to_write(entry, user, revision, make=True)
    if version is None:
        raise RevisionNotFound(revision)
    pushed = push(version, user, header, operations)
    address = f"{origin_of(request)}/{repo_id(entry)}"
    told = {"success": True, "commitOid": pushed.commit.sha, "commitUrl": f"{address}/commit/{pushed.commit.sha}", "hookOutput": ""}
    response = answer(told)
    if warning := _warning(version, pushed, address):
        response["X-HF-Warning"] = warning.encode("ascii", "replace").decode()
    return response


def _warning(version: Version, pushed: Pushed, address: str) -> str:
    """What whoever pushed should know and would not see; "" for nothing. Clients print it once per topic."""
    if pushed.spared:
        shown = ", ".join(pushed.spared[:3])
        return f"made here; {shown}: written by the hub, so it was not deleted. It goes with the file that it was made from."
    if version.status == Status.DRAFT:
        page = f"{address}/v/{version.pk}"
        return f"draft; {version.branch} is a draft that only you see. When its files have been examined, publish it at {page}"
    return ""


@signed("POST")
def validate_yaml(request: HttpRequest, user: User | None) -> HttpResponse:
    """POST /api/validate-yaml: the metadata at the head of a README.md, before it is committed."""
    content = text_of(json_body(request), "content", 1_000_000)
    try:
        cards.metadata(cards.split(content)[0])
    except FormatError as error:
        return answer({"error": error.sentence, "errors": [{"message": error.sentence}], "warnings": []}, 400)
    return answer({"errors": [], "warnings": []})


def _refuse_pull_request(request: HttpRequest) -> None:
    if is_true(request, "create_pr"):
        raise HubError(400, NO_PULL_REQUESTS)
