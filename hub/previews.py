"""The pictures that speak for a version, for cards, pages and protocols: those of its newest previews, and only what its own weights made.

An add-on is also rendered at strength 0, to be compared with: that picture shows the base, so it stands beside the others on the
version's page and nowhere else. Planning and rendering are `inference`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from inference.models import Purpose, Render, Shot

MOST = 20
"""Pictures of one version that a list tells of, as Civitai's API."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a version, without its bytes. `meta` is empty where it was not asked for."""

    id: int
    version_id: int
    sha256: str
    width: int
    height: int
    prompt: str
    meta: dict[str, Any] = field(default_factory=dict)


COLUMNS = (
    "picture_id", "render__version_id", "picture__sha256", "picture__width", "picture__height", "spec__prompt",
    "spec__addons", "render__base_id", "place",
)  # fmt: skip


def of_versions(ids: Collection[int], *, most: int = MOST, meta: bool = False) -> dict[int, list[Shown]]:
    """The pictures of each of these versions, the strongest of an add-on first; one query. Who may see the versions, the caller knows."""
    found: dict[int, list[tuple[float, int, Shown]]] = defaultdict(list)
    shots = Shot.objects.filter(render__in=newest(ids).values("pk")).exclude(picture=None).order_by()
    for row in shots.values_list(*COLUMNS, *(["picture__meta"] if meta else [])):
        *shown, addons, base, place = row[:9]
        strength = strength_of(addons, alone=base is None)
        if strength:
            found[shown[1]].append((-strength, place, Shown(*shown, *row[9:])))
    return {pk: [shown for _, _, shown in sorted(rows, key=lambda row: row[:2])[:most]] for pk, rows in found.items()}


def firsts(ids: Collection[int]) -> dict[int, Shown]:
    """The one picture of each version that stands for it on a card."""
    return {pk: rows[0] for pk, rows in of_versions(ids, most=1).items()}


def newest(ids: Collection[int]) -> QuerySet[Render]:
    """Of each version the newest render of previews that has a picture."""
    drawn = Exists(Shot.objects.filter(render=OuterRef("pk")).exclude(picture=None))
    renders = Render.objects.filter(drawn, purpose=Purpose.PREVIEW, version_id__in=ids)
    return renders.order_by("version_id", "-pk").distinct("version_id")


def strength_of(addons: Any, *, alone: bool) -> float:
    """How strongly the version's weights act in a shot: 0 where it shows the base only. `alone`: there is no base, the weights are all."""
    if alone:
        return 1.0
    return max((abs(float(one.get("strength", 1.0))) for one in addons or ()), default=0.0)
