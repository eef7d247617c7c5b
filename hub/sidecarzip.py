"""The archives of a version's sidecars, alone and with its recommended file, and who gets them. What lies in them is `hub.sidecars`'.

The model in a bundle is never read here: its CRC-32 and size are known, so all bytes around it are too, and `hub.transport.inserted`
sends the stored bytes between them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from hub import sidecars
from hub.api.tokens import live_token
from hub.downloads import SANDBOX, origin_of
from hub.sidecars import Sidecar
from hub.web.filelist import recommended
from hub.web.site import cap_of
from registry import names, queries, storage
from registry.counters import count_download
from registry.models import File, Status, Version

MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest that a ZIP knows: two archives of the same things are the same bytes."""
FILE_MODE = 0o100644 << 16
UNIX = 3
GONE = "This version was withdrawn or deleted, so its files are no longer offered. Its sidecars are: they hold its details and hashes."


@require_safe
def alone(request: HttpRequest, pk: int) -> HttpResponse:
    """The sidecars of every file of a version. What was withdrawn or deleted keeps them: they hold no weights."""
    version, user = _version(request, pk)
    made = _sidecars(request, user, version)
    return _archive(version, "sidecars", packed(made))


@require_safe
def bundle(request: HttpRequest, pk: int) -> HttpResponse:
    """The recommended file with all sidecars, named as programs look for them. 410 for a version that is gone, 404 where it has no file."""
    version, user = _version(request, pk)
    if version.gone:
        return HttpResponse(GONE, status=410, content_type="text/plain; charset=utf-8")
    file = recommended(queries.files_with_blobs().filter(version=version))
    if file is None or file.blob is None or "CRC32" not in file.blob.hash_values() or not storage.exists(file.blob):
        raise Http404
    body, offset = around(_sidecars(request, user, version), file)
    response = _archive(version, "bundle", body)
    response["X-Hub-Insert"] = f"{file.sha256} {file.size_bytes} {offset}"
    if request.method == "GET" and version.status == Status.PUBLISHED:
        count_download(file)
    return response


def _version(request: HttpRequest, pk: int) -> tuple[Version, Any]:
    """The version and who asks, by a token where there is one: programs fetch these too. Hidden ones do not exist."""
    token = live_token(request)
    user = token.owner if token else request.user
    version = Version.objects.select_related("entry__owner").filter(pk=pk).first()
    if version is None or not queries.may_read_version(user, version):
        raise Http404
    return version, user


def _sidecars(request: HttpRequest, user: Any, version: Version) -> list[Sidecar]:
    """Without pictures above the visitor's rating. Raises Http404 where no file of it is known to the public yet."""
    known = user if user.is_authenticated else None
    shown = version.entry.rating <= cap_of(user) or queries.may_edit(user, version.entry)
    made = sidecars.of(origin_of(request), known, version, pictures=shown)
    if not made:
        raise Http404
    return made


def _archive(version: Version, what: str, data: bytes) -> HttpResponse:
    response = HttpResponse(data, content_type="application/zip")
    response["Content-Disposition"] = names.attachment(f"{version.entry.slug}-{version.branch}-{what}.zip")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = SANDBOX
    response["Cache-Control"] = "private, no-store"
    return response


def packed(made: Iterable[Sidecar]) -> bytes:
    """A ZIP of them in their order. The same sidecars are the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        _add(archive, made)
    return target.getvalue()


def around(made: Iterable[Sidecar], file: File) -> tuple[bytes, int]:
    """(all bytes of a ZIP of the sidecars, at least one, and `file` but those of the file, where these belong).

    The file is stored as it is, behind the sidecars. ZIP64 where it does not fit 32 bits, or a bundle grows past them.
    """
    target = _Gapped()
    with zipfile.ZipFile(target, "w", allowZip64=True) as archive:
        _add(archive, made)
        entry = _entry(file.name)
        entry.compress_size = entry.file_size = file.size_bytes
        entry.CRC = int.from_bytes(bytes.fromhex(file.blob.hash_values()["CRC32"]), "little")  # type: ignore[union-attr]  # as Civitai prints it
        entry.header_offset = target.seek(archive.start_dir)
        target.write(entry.FileHeader())
        offset = target.tell()
        target.gap = file.size_bytes
        archive.filelist.append(entry)
        archive.start_dir = target.tell()
    return target.getvalue(), offset


class _Gapped(io.BytesIO):
    """A file in memory that is `gap` bytes longer than what lies in it, from the gap on: `zipfile` reckons its offsets with them."""

    gap = 0

    def tell(self) -> int:
        return super().tell() + self.gap

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return super().seek(offset - self.gap, whence) + self.gap


def _add(archive: zipfile.ZipFile, made: Iterable[Sidecar]) -> None:
    for one in made:
        entry = _entry(one.name)
        entry.compress_type = zipfile.ZIP_STORED if one.name.endswith(".png") else zipfile.ZIP_DEFLATED
        archive.writestr(entry, one.data)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, MOMENT)
    entry.external_attr, entry.create_system = FILE_MODE, UNIX
    return entry
