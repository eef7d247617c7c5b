"""Addresses of rendered pictures, and who may see one. One answer for pages and protocols; sending is `hub/web/pictures.py`'s.

An address holds the SHA-256 of what it leads to, so it can be kept for ever. `width=450` and `original=true` stand in it as in
Civitai's addresses, because its clients rewrite them.
"""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Q, QuerySet

from hub import thumbnails
from hub.thumbnails import Sized
from inference.models import Purpose, Render, Shot
from inference.offered import offered_previews
from registry import groups, queries, ratings
from registry.models import CLOSED, Version

SMALL = thumbnails.WIDTHS[0]
_WIDTH = re.compile(r"(?:^|,)width=(\d{1,5})(?:,|$)")
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
MAX_STEM = 80


def path(sha256: str, width: int | None, stem: str) -> str:
    """Path of the original (`width` None), or of a small picture of a width of `thumbnails.WIDTHS`; `stem` is what it is saved as."""
    name = _UNFIT.sub("-", stem)[:MAX_STEM].strip("-") or "picture"
    return f"/pictures/{sha256}/original=true/{name}.png" if width is None else f"/pictures/{sha256}/width={width}/{name}.webp"


def original(picture: Sized, stem: str) -> str:
    return path(picture.sha256, None, stem)


def small(picture: Sized, stem: str) -> tuple[str, int, int]:
    """(path, width, height) of what lists show: the original where it is small itself."""
    width = thumbnails.width_for(picture, SMALL)
    if width is None:
        return original(picture, stem), picture.width, picture.height
    return path(picture.sha256, width, stem), *thumbnails.size_of(picture, width)


def stem_of(render: Render, version: Version) -> str:
    """What the pictures of a render are saved as, before their seed: model and version, and of what somebody asked for the file.

    A model may be hidden and renamed later; who asked for pictures of it before learns no new name.
    """
    return f"{version.entry.slug}-{version.name}" if render.purpose == Purpose.PREVIEW else file_name(render)


def file_name(render: Render) -> str:
    """The name of the rendered weights when they were asked for, without its ending."""
    return next((str(told["name"]) for told in render.files if told["file"] == render.file_id), "picture")


def wanted_width(size: str) -> int | None:
    """What the middle of an address asks for: pixels, None for the original."""
    found = _WIDTH.search(size)
    return int(found[1]) if found else None


def shown_to_all() -> QuerySet[Shot]:
    """Shots of previews that everybody may see who knows where: of published versions, while they offer the file that made them."""
    live = queries.published_versions().filter(ratings.within_cap("entry__"), entry__deleted_at=None).exclude(entry__visibility__in=CLOSED)
    return Shot.objects.filter(render__in=offered_previews().filter(version__in=live))


def is_public(sha256: str) -> bool:
    return shown_to_all().filter(picture__sha256=sha256).exists()


def may_see(user: Any, sha256: str) -> bool:
    """Whether this user may see a picture that is not public: whoever asked for it, the owner of the version, its group, moderators."""
    if not user or not user.is_authenticated:
        return False
    own = Q(render__owner=user) | Q(render__purpose=Purpose.PREVIEW, render__version__entry__owner=user)
    return queries.is_moderator(user) or Shot.objects.filter(own | _shared(user), picture__sha256=sha256).exists()


def _shared(user: Any) -> Q:
    """Shots of previews of published versions that are for a group of this user."""
    shared = queries.published_versions().filter(groups.shared_with(user, "entry__"), ratings.within_cap("entry__"), entry__deleted_at=None)
    return Q(render__in=offered_previews().filter(version__in=shared))
