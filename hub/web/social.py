"""What other sites show of a model when somebody posts its address: OpenGraph's and Twitter's tags, and oEmbed (oembed.com). They ask
without an account, so only what strangers may see is told, and only pictures rated PG.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hub import pictures
from hub.downloads import origin_of
from hub.web import artcard
from hub.web.site import cap_of
from inference import previews
from registry import queries, ratings
from registry.formats.plaintext import printable
from registry.models import Entry, Rating, Status, Version, Visibility

TITLE, DESCRIPTION = 120, 200
"""Characters; sites cut what is longer."""
KEPT_SECONDS = 3600
_MARKUP = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)|[*_`#>|~]+")


@dataclass(frozen=True, slots=True)
class Card:
    """A model as another site shows it. Addresses are absolute."""

    title: str
    description: str
    creator: str
    creator_url: str
    url: str
    oembed_url: str
    image: str
    width: int
    height: int
    alt: str


def card_of(request: HttpRequest, entry: Entry, version: Version | None) -> Card | None:
    """The card of a version's page; None where strangers would not see the page. One query."""
    if version is None or version.gone or not open_to_strangers(entry, version):
        return None
    origin = origin_of(request)
    url = origin + reverse("model-version", args=[entry.owner.username, entry.slug, version.pk])
    image, width, height, alt = _image(entry, version)
    return Card(
        title=printable(_("%(model)s by %(creator)s") % {"model": entry.name, "creator": entry.owner.username}, TITLE),
        description=_described(entry, version),
        creator=entry.owner.username,
        creator_url=origin + reverse("creator", args=[entry.owner.username]),
        url=url,
        oembed_url=f"{origin}{reverse('oembed')}?{urlencode({'url': url})}",
        image=image and origin + image,
        width=width,
        height=height,
        alt=alt,
    )


def open_to_strangers(entry: Entry, version: Version) -> bool:
    """Whether somebody without an account sees the page of this version, its pictures and all."""
    stranger = AnonymousUser()
    return queries.may_read_version(stranger, version) and version.status != Status.DRAFT and entry.rating <= cap_of(stranger)


def _image(entry: Entry, version: Version) -> tuple[str, int, int, str]:
    """(path, width, height, words) of the picture that stands for a version; else of drawn art, which unlisted models have none of."""
    if entry.rating <= Rating.PG and ratings.fit_for_cards(entry.rating):
        picture = previews.covers([version]).get(version.pk)
        if picture is not None:
            alt = printable(" ".join(str(picture.meta.get("prompt") or entry.name).split()), DESCRIPTION)
            return pictures.original(picture, f"{entry.slug}-{picture.seed}"), picture.width, picture.height, alt
    if entry.visibility != Visibility.PUBLIC:
        return "", 0, 0, ""
    art = reverse("art-card", args=[artcard.VERSION, entry.kind, entry.slug])
    return art, artcard.WIDTH, artcard.HEIGHT, _("A drawing that stands for this model")


def _described(entry: Entry, version: Version) -> str:
    what = _("%(kind)s for %(base)s.") % {"kind": entry.get_kind_display(), "base": version.base_model}
    words = " ".join(_MARKUP.sub(r"\1", entry.description[:2000]).split())
    return printable(f"{what} {words}".strip(), DESCRIPTION)


@require_safe
def oembed(request: HttpRequest) -> HttpResponse:
    """The card of one of our addresses as JSON, of type "link". 400 without an address, 404 for what strangers do not see, 501 for XML."""
    address = request.GET.get("url", "")
    if not address:
        return JsonResponse({"error": "Name the address of a model in url."}, status=400)
    if request.GET.get("format", "json") != "json":
        return JsonResponse({"error": "Only json is spoken here."}, status=501)
    card = card_of(request, *_named(request, address[:2000]))
    if card is None:
        raise Http404
    answer: dict[str, Any] = {
        "version": "1.0",
        "type": "link",
        "title": card.title,
        "author_name": card.creator,
        "author_url": card.creator_url,
        "provider_name": "Weighhouse",
        "provider_url": f"{origin_of(request)}/",
        "cache_age": KEPT_SECONDS,
    }
    if card.image:
        answer |= {"thumbnail_url": card.image, "thumbnail_width": card.width, "thumbnail_height": card.height}
    response = JsonResponse(answer)
    response["Access-Control-Allow-Origin"] = "*"
    response["Cache-Control"] = f"public, max-age={KEPT_SECONDS}"
    return response


def _named(request: HttpRequest, address: str) -> tuple[Entry, Version | None]:
    """The entry and version of an address of this hub. Raises Http404 for any other."""
    try:
        parts = urlsplit(address)
        found = resolve(parts.path)
    except (ValueError, Resolver404):
        raise Http404 from None
    if parts.scheme not in {"http", "https"} or parts.netloc != request.get_host() or found.url_name not in {"model", "model-version"}:
        raise Http404
    where = {"owner__username__iexact": found.kwargs["creator"], "slug": found.kwargs["slug"]}
    entry = queries.readable(AnonymousUser()).select_related("owner").filter(**where).first()
    if entry is None:
        raise Http404
    versions = entry.versions.filter(status=Status.PUBLISHED, deleted_at=None)
    wanted = found.kwargs.get("version")
    version = versions.filter(pk=wanted).first() if wanted else versions.first()
    if version is not None:
        version.entry = entry
    return entry, version
