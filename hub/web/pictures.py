"""Sends rendered pictures and their small copies, to whom they may be shown. Addresses and the rule are `hub.pictures`'."""

from __future__ import annotations

import logging
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from hub import mediafiles, pictures, thumbnails
from hub.api.tokens import live_token
from hub.downloads import SANDBOX
from inference.models import Picture

FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"

log = logging.getLogger(__name__)


@require_safe
def send(request: HttpRequest, sha256: str, size: str, name: str) -> HttpResponse:
    """A picture by its digest. Whoever may not see it is told what they are told of a digest that nobody made."""
    picture = Picture.objects.filter(sha256=sha256).first()
    if picture is None:
        raise Http404
    public = pictures.is_public(sha256)  # asked first: then no session is touched, and the answer is the same for everybody
    if not public and not pictures.may_see(_caller(request), sha256):
        raise Http404
    width = thumbnails.width_for(picture, pictures.wanted_width(size) or picture.width)
    response = _bytes_of(request, picture, width)
    response["Cache-Control"] = FOR_EVER if public else ASK_AGAIN
    response["Content-Disposition"] = f'inline; filename="{name.rpartition(".")[0] or name}.{"png" if width is None else "webp"}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = SANDBOX
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin" if public else "same-origin"
    return response


def _caller(request: HttpRequest) -> Any:
    """Who asks: a program says it by its token, as in the API that told it the address."""
    token = live_token(request)
    return token.owner if token else request.user


def _bytes_of(request: HttpRequest, picture: Picture, width: int | None) -> HttpResponse:
    """The picture's own bytes, or those of its copy of this width, which is made where there is none yet."""
    etag = f'"{picture.sha256}"' if width is None else f'"{picture.sha256}-w{width}"'
    try:
        name = picture.stored_name if width is None else thumbnails.ensure(picture, width)
        return mediafiles.answer(request, name, etag, "image/png" if width is None else "image/webp")
    except (OSError, thumbnails.NotAPicture):
        log.exception("picture %s cannot be sent", picture.pk)
        raise Http404 from None
