"""The `images` of versions: pictures of their newest finished previews, and of an add-on only those in which it acts.

An add-on is also rendered at strength 0, to be compared with: that picture shows the base, not the version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, OuterRef, QuerySet

from hub import pictures
from inference.models import Render, Shot
from inference.offered import offered_previews, strength_of
from registry.lifecycle import RenderState

MOST = 20
"""Of one version in a list; civitai.com lists as many."""
MOST_OF_ONE = 10
"""In a version's own answer, which has `meta` too."""


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One picture of a version, without its bytes. `meta` is empty where it was not asked for."""

    id: int
    version_id: int
    sha256: str
    width: int
    height: int
    seed: int
    prompt: str
    blurhash: str
    meta: dict[str, Any] = field(default_factory=dict)


COLUMNS = {
    "version_id": F("render__version_id"),
    "sha256": F("picture__sha256"),
    "width": F("picture__width"),
    "height": F("picture__height"),
    "seed": F("picture__seed"),
    "blurhash": F("picture__blurhash"),
    "prompt": F("spec__prompt"),
    "addons": F("spec__addons"),
    "base": F("render__base_id"),
}
"""Of a shot: the fields of `ImageRow` but its id, and what `chosen` asks besides."""


def read(ids: Collection[int]) -> dict[int, list[ImageRow]]:
    """The pictures of each of these versions, the strongest of an add-on first; one query. Who may see the versions, the caller knows."""
    made = offered_previews().filter(version_id__in=ids, state=RenderState.MADE)
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in _shots(made.order_by("version_id", "-pk").distinct("version_id"), meta=False):
        found[row["version_id"]].append(row)
    return {pk: chosen(rows) for pk, rows in found.items()}


def of_version(version: OuterRef, *, meta: bool = False) -> QuerySet[Shot, dict[str, Any]]:
    """What `chosen` chooses from, of one version: for a subquery. `version` is seen from inside a subquery of a subquery."""
    return _shots(offered_previews().filter(version=version, state=RenderState.MADE).order_by("-pk")[:1], meta=meta)


def _shots(renders: QuerySet[Render], *, meta: bool) -> QuerySet[Shot, dict[str, Any]]:
    shots = Shot.objects.filter(render__in=renders.values("pk")).exclude(picture=None).order_by()
    return shots.values("place", "picture_id", **COLUMNS, **({"meta": F("picture__meta")} if meta else {}))


def chosen(rows: Iterable[dict[str, Any]], *, meta: bool = False) -> list[ImageRow]:
    """Of the shots of one version those in which it acts, the strongest first."""
    found = []
    for row in rows:
        strength = strength_of(row.pop("addons"), alone=row.pop("base") is None)
        if strength:
            found.append((-strength, row.pop("place"), ImageRow(id=row.pop("picture_id"), **row)))
    return [image for _, _, image in sorted(found, key=lambda one: one[:2])[: MOST_OF_ONE if meta else MOST]]


def image_object(origin: str, image: ImageRow, rating: int, stem: str) -> dict[str, Any]:
    """One entry of `images`. The PNG holds its text; `hash` is its BlurHash, left out while there is none: null breaks clients."""
    data = {
        "id": image.id,
        "url": origin + pictures.original(image, f"{stem}-{image.seed}"),
        "nsfwLevel": rating,
        "width": image.width,
        "height": image.height,
        "type": "image",
        "minor": False,
        "poi": False,
        "hasMeta": True,
        "hasPositivePrompt": bool(image.prompt),
        "onSite": True,
    }
    if image.blurhash:
        data["hash"] = image.blurhash
    return {**data, "meta": image.meta} if image.meta else data
