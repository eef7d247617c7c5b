"""Find the models of an image: its text is read, its pixels are not, and nothing of it is kept."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from hub import imagemeta, usedmodels
from registry.formats.errors import FormatError

ROOM = 64 << 10
"""Bytes of a form around its image."""


@csrf_exempt  # it changes nothing, and a body that is too long must be refused before anybody reads it
@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """The page with the field; by POST the models of `image`, and what is wrong where it cannot be read (400, 413)."""
    if request.method != "POST":
        return render(request, "search/image.html")
    length = request.headers.get("Content-Length") or "0"
    if not length.isdecimal() or len(length) > 12 or int(length) > imagemeta.MAX_BYTES + ROOM:
        return _refused(request, _("Images up to 20 MB are read. Choose a smaller one."), 413)
    image = request.FILES.get("image") if length != "0" else None
    if image is None:
        return _refused(request, _("Choose an image first."), 400)
    try:
        meta = imagemeta.of_file(image)
    except FormatError as error:
        return _refused(request, str(error), 400)
    found = usedmodels.used(request.user, meta)
    here = [one for one in found if one.file]
    return render(
        request,
        "search/image.html",
        {"meta": meta, "name": image.name or "", "here": here, "missing": [one for one in found if not one.file]},
    )


def _refused(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    return render(request, "search/image.html", {"problem": sentence}, status=status)
