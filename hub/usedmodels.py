"""Which models of this hub an image was made with: what its text names, looked up by hash. Reads; of the image nothing is kept.

Hashes lead to files that the visitor may know of. A name alone proves nothing: two models may share it, so names are left to the search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q

from hub.imagemeta import ImageMeta, Resource
from registry import queries
from registry.models import BlobHash, File

MOST = 60
"""Resources of one image that are looked up; images name a handful."""


@dataclass(frozen=True, slots=True)
class Used:
    """One model that the image names, and the file here that it is, or None."""

    resource: Resource
    file: File | None


def used(user: Any, meta: ImageMeta) -> list[Used]:
    """The models of an image in its order, at most `MOST`. Two queries for any number."""
    resources = meta.resources[:MOST]
    digits = {resource.hash: queries.hash_digits(resource.hash) for resource in resources}
    rule = Q(pk__in=[])
    for value in set(filter(None, digits.values())):
        rule |= Q(value__startswith=value) & (Q(value=value) | Q(kind__in=queries.PREFIXED))
    values = list(BlobHash.objects.filter(rule).values_list("value", "blob_id"))
    files = queries.visible_files(user).filter(blob__in={blob for _, blob in values}).select_related("blob", "version__entry__owner")
    best: dict[int | None, File] = {}
    for file in files.order_by(F("version__published_at").asc(nulls_last=True), "id"):
        best.setdefault(file.blob_id, file)
    return [Used(resource, _meant(digits[resource.hash], values, best)) for resource in resources]


def _meant(digits: str, values: list[tuple[str, int]], best: dict[int | None, File]) -> File | None:
    found = (best.get(blob) for value, blob in values if digits and value.startswith(digits))
    return next((file for file in found if file is not None), None)
