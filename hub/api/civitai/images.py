"""The `images` of versions: pictures of their newest finished previews, and of an add-on only those in which it acts.

An add-on is also rendered at strength 0, to be compared with: that picture shows the base, not the version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from hub import pictures
from inference.models import Shot
from inference.offered import offered_previews
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
    meta: dict[str, Any] = field(default_factory=dict)


COLUMNS = (
    "picture_id", "render__version_id", "picture__sha256", "picture__width", "picture__height", "picture__seed", "spec__prompt",
    "spec__addons", "render__base_id", "place",
)  # fmt: skip


def read(ids: Collection[int], *, meta: bool = False) -> dict[int, list[ImageRow]]:
    """The pictures of each of these versions, the strongest of an add-on first; one query. Who may see the versions, the caller knows."""
    found: dict[int, list[tuple[float, int, ImageRow]]] = defaultdict(list)
    made = offered_previews().filter(version_id__in=ids, state=RenderState.MADE)
    newest = made.order_by("version_id", "-pk").distinct("version_id").values("pk")
    shots = Shot.objects.filter(render__in=newest).exclude(picture=None).order_by()
    for row in shots.values_list(*COLUMNS, *(["picture__meta"] if meta else [])):
        *shown, addons, base, place = row[:10]
        strength = strength_of(addons, alone=base is None)
        if strength:
            found[shown[1]].append((-strength, place, ImageRow(*shown, *row[10:])))
    most = MOST_OF_ONE if meta else MOST
    return {pk: [image for _, _, image in sorted(rows, key=lambda row: row[:2])[:most]] for pk, rows in found.items()}


def strength_of(addons: Any, *, alone: bool) -> float:
    """How strongly the version's weights act in a shot: 0 where it shows the base only. `alone`: there is no base, the weights are all."""
    if alone:
        return 1.0
    return max((abs(float(one.get("strength", 1.0))) for one in addons or ()), default=0.0)


def image_object(origin: str, image: ImageRow, rating: int, stem: str) -> dict[str, Any]:
    """One entry of `images`. No BlurHash is computed: the key is left out, as null breaks clients. The PNG holds its text."""
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
    return {**data, "meta": image.meta} if image.meta else data
