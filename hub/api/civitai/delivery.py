"""GET /api/download/models/{versionId}: chooses the file, counts, and sends the client to its signed address. Carries no bytes itself."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from hub import downloads
from hub.api.civitai import choosing, parameters, rows, vocabulary
from hub.api.civitai.answers import ApiError, endpoint
from hub.api.civitai.choosing import Wanted
from hub.api.civitai.rows import FileRow
from registry import queries, saving
from registry.catalog import IN_WORK
from registry.counters import count_download
from registry.models import File, Role, Status, User, Verdict, Version

NOT_FOUND = "File not found"
GONE = "Model archived, not available for download"
SEALED = "The scan does not let this file through. It is sealed and nobody can download it; its page says why."
HELD_BACK = "The scan found something unusual in this file. It is held back until a moderator has looked."
TWIN_SECONDS = 5
RESUMED = re.compile(r"bytes=0*[1-9]")


@endpoint
def download(request: HttpRequest, user: User | None, version_id: str) -> HttpResponse:
    """307 to an address that needs no sign-in; 403 what is held back, 404 what is not there, 410 what was withdrawn.

    Nobody learns whether a hidden version exists: a person in a browser is asked to sign in either way, a program gets 404.
    """
    number = parameters.read_id(version_id, "model version")
    version = queries.readable_versions(user).select_related("entry").filter(pk=number).first()
    if version is None and user is None and _shows_pages(request):
        return _sign_in(request, number)
    if version is None:
        raise ApiError(404, NOT_FOUND)
    if version.gone:
        raise ApiError(410, GONE)
    chosen = _chosen(request.GET, version)
    file = File.objects.select_related("blob", "version__entry").get(pk=chosen.id)
    response = HttpResponse(status=307, content_type="application/octet-stream")
    response["Location"] = downloads.signed_url(request, file)
    response["Cache-Control"] = "no-store, max-age=0"
    if _counts(request, version):
        count_download(file)
        if user is not None:
            saving.had(user, version)
    return response


def _shows_pages(request: HttpRequest) -> bool:
    """Whether the caller asks for HTML in so many words: programs pretend to be browsers by User-Agent, and save the page as the model."""
    return any((kind.main_type, kind.sub_type) == ("text", "html") for kind in request.accepted_types)


def _sign_in(request: HttpRequest, number: int) -> HttpResponse:
    """307 to the sign-in page and from there back to the download; programs know the case by `reason=download-auth`."""
    again = request.GET.copy()
    again.pop("token", None)
    query = f"?{again.urlencode()}" if again else ""
    fields = {"returnUrl": f"/model-versions/{number}", "reason": "download-auth", "next": f"{request.path}{query}"}
    response = HttpResponse(status=307, content_type="application/octet-stream")
    response["Location"] = f"{downloads.origin_of(request)}{reverse('account_login')}?{urlencode(fields)}"
    response["Cache-Control"] = "no-store, max-age=0"
    return response


def _chosen(given: QueryDict, version: Version) -> FileRow:
    served = rows.read_files(queries.downloadable_files().filter(version=version))
    others = [file for file in rows.read_files(File.kept.filter(version=version)) if all(file.id != row.id for row in served)]
    if given.get("fileId"):
        wanted = parameters.read_id(given["fileId"], "file")
        found = next((file for file in served if file.id == wanted), None)
        held = [file for file in others if file.id == wanted]
    else:
        wanted = _wanted(given)
        found = choosing.choose(served, wanted)
        held = [] if served else others
        _wait_for_twin(found, others, wanted.format)
    if found is not None:
        return found
    raise _refusal(held)


def _refusal(held: list[FileRow]) -> ApiError:
    sealed = [file.verdict for file in held if file.state in rows.HELD_STATES]
    if not sealed:
        return ApiError(404, NOT_FOUND)
    only_suspicious = all(verdict == Verdict.SUSPICIOUS for verdict in sealed)
    return ApiError(403, "File quarantined", more={"message": HELD_BACK if only_suspicious else SEALED})


def _wait_for_twin(found: FileRow | None, others: list[FileRow], asked: str) -> None:
    """Hand out no pickle to somebody who did not ask for one, and deny no safetensors file, only because a copy is still being judged."""
    twin_would_do = asked.lower() in {"", "safetensor"} and (found is None or found.metadata["format"] == vocabulary.PICKLE)
    if twin_would_do and any(file.role == Role.DERIVED and file.state in IN_WORK for file in others):
        sentence = "The safetensors copy of this file is still being checked. Try again in a moment, or ask for format=PickleTensor."
        raise ApiError(503, sentence, headers={"Retry-After": str(TWIN_SECONDS)})


def _wanted(given: QueryDict) -> Wanted:
    file_type = parameters.one_of(given, "type", vocabulary.FILE_TYPES)
    size = parameters.one_of(given, "size", vocabulary.SIZES)
    fmt, fp, quant = ((given.get(key) or "").strip()[:64] for key in ("format", "fp", "quantType"))
    return Wanted(file_type, fmt, size, fp, quant)


def _counts(request: HttpRequest, version: Version) -> bool:
    """One download: a GET from the start of a published file. HEAD, resumed ranges and a creator's drafts are none."""
    return request.method == "GET" and version.status == Status.PUBLISHED and not RESUMED.match(request.headers.get("Range", ""))
