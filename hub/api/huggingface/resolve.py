"""GET and HEAD /{namespace}/{name}/resolve/{revision}/{path}: one file of a tree. Weights are sent by the layers below, texts from here.

On local disk the address itself answers the bytes. On S3 HEAD is answered here and GET redirects to the bucket, so that a download
is seen, and counted, by the hub.
"""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from hub import downloads, repopaths
from hub.api.huggingface import textfiles, trees, wellknown_answers
from hub.api.huggingface.answers import EntryNotFound, HubError, NothingYet, RevisionNotFound, Withheld, endpoint
from hub.api.huggingface.repositories import Place, find_place, repo_id
from hub.api.huggingface.wellknown_answers import or_wellknown
from hub.verdicts import reports
from registry import names, queries, saving, storage
from registry.catalog import IN_WORK
from registry.commits import MAIN, Row
from registry.counters import count_download
from registry.models import File, Status, User, Verdict

RESUMED = re.compile(r"bytes=\s*(?:0*[1-9]|-)")
PENDING_SECONDS = 5
PENDING = "scan pending: this file is still being examined. It can be fetched as soon as it was found clean."


@endpoint("GET")
@or_wellknown(wellknown_answers.resolve)
def resolve(request: HttpRequest, user: User | None, namespace: str, name: str, revision: str, path: str) -> HttpResponse:
    try:
        place = find_place(user, namespace, name, revision)
    except RevisionNotFound:
        if revision != MAIN:
            raise
        raise NothingYet from None
    row = trees.find_row(place.commit.tree, path) or _called(place, path)
    if row is None:
        _refuse_held(place, user, path)
        raise EntryNotFound(place.commit.sha)
    response = _stored(request, user, place, row) if "file" in row else textfiles.send(request, row, trees.read_text(row))
    response["X-Repo-Commit"] = place.commit.sha
    return response


def _called(place: Place, path: str) -> Row | None:
    """The row of a file by the name that the hub's pages and downloads give it, where its path in the tree is another."""
    ids = set(place.version.files.filter(name=path).values_list("pk", flat=True)) if "/" not in path else set()
    return next((row for row in place.commit.tree if row.get("file") in ids), None)


def _stored(request: HttpRequest, user: User | None, place: Place, row: Row) -> HttpResponse:
    file = File.objects.select_related("blob", "version__entry__owner").filter(pk=row["file"]).first()
    if file is None or (file.sha256 and file.sha256 != row["sha256"]):
        raise EntryNotFound(place.commit.sha)
    if not file.downloadable:
        raise _withheld(file, user, place.commit.sha)
    response = _bytes(request, file, row)
    response["X-Linked-Etag"] = f'"{row["sha256"]}"'
    response["X-Linked-Size"] = str(row["size"])
    if file.blob is not None and file.blob.verdict == Verdict.SUSPICIOUS:
        response["X-HF-Warning"] = _ascii(
            f"scan; {file.name}: a moderator released this file although the scan found something unusual. "
        ) + (f"See {downloads.origin_of(request)}/files/{file.pk}/scan")
    if request.method == "GET" and place.version.status == Status.PUBLISHED and not RESUMED.match(request.headers.get("Range", "")):
        count_download(file)
        if user is not None:
            saving.had(user, place.version)
    return response


def _bytes(request: HttpRequest, file: File, row: Row) -> HttpResponse:
    shown = row["path"].rpartition("/")[2]
    if storage.on_disk() is not None:
        return downloads.bytes_of(file, names.attachment(shown))
    if request.method == "GET":
        response: HttpResponse = HttpResponseRedirect(downloads.signed_url(request, file, name=shown))
        response["Cache-Control"] = "no-store"
    else:
        response = HttpResponse(content_type="application/octet-stream")
        response["Content-Length"] = str(row["size"])
        response["Accept-Ranges"] = "bytes"
    response["ETag"] = f'"{row["sha256"]}"'
    return response


def _refuse_held(place: Place, user: User | None, path: str) -> None:
    """Say why a file is withheld that is in no tree any more (or not yet), if this user may know that there is one."""
    found = place.version.files.select_related("blob", "source", "version__entry__owner")
    files = [file for file in found if queries.may_see_file(user, file)]
    places = repopaths.assign(files)
    held = [file for file in files if path in {places[file.pk], file.name} and not file.downloadable]
    if held:
        raise _withheld(held[-1], user, place.commit.sha)


def _withheld(file: File, user: User | None, sha: str) -> HubError:
    """Why this file may not be fetched. Its owner is told to wait while it is being judged; nobody else can make use of that."""
    if file.state in IN_WORK:
        if queries.may_edit(user, file.version.entry):
            return HubError(503, PENDING, "ScanPending", {"Retry-After": str(PENDING_SECONDS), "X-Repo-Commit": sha})
        return Withheld(PENDING, sha)
    scan = reports.of_file(file)
    page = f"{repo_id(file.version.entry)}, file {file.name}"
    return Withheld(f"{scan.title}: {scan.sentence} ({page}; the whole report is at /files/{file.pk}/scan)", sha)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
