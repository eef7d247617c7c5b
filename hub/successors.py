"""What to take instead of a version that is gone: a newer one of the same model, or another file here with the same weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from registry import queries
from registry.models import File, Status, Version

MOST = 5


@dataclass(frozen=True)
class Instead:
    """`version`: the newest that the same model still offers. `same`: files with the same bytes or tensors, the newest first."""

    version: Version | None = None
    same: list[File] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.version is not None or bool(self.same)


def of(user: Any, version: Version, others: Iterable[Version], files: Iterable[File], cap: int) -> Instead:
    """`others`: the model's versions that this visitor may see, in their order; `files`: the version's, with blobs and hashes. One query.

    Nobody is led to what is not listed, or rated above `cap`.
    """
    offered = (one for one in others if one.status == Status.PUBLISHED and not one.gone and one.pk != version.pk)
    blobs = [file.blob for file in files if file.blob]
    tensors = [value for blob in blobs if (value := blob.hash_values().get("TENSORS"))]
    equal = Q(blob__in=blobs) | Q(blob__hashes__kind="TENSORS", blob__hashes__value__in=tensors)
    rows = queries.suggested_files(user, cap).filter(equal).exclude(version=version).distinct() if blobs else File.objects.none()
    return Instead(next(offered, None), list(rows.select_related("version__entry__owner").order_by("-id")[:MOST]))
