"""Which previews stand for their version now: those whose weights it still offers. Asked by everything that shows or lists pictures.

Who may see the version is not asked here.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from inference.models import Purpose, Render
from registry import queries
from registry.models import Status


def offered_previews() -> QuerySet[Render]:
    """Previews whose weights their version still offers, and that its owner has not switched off."""
    files = queries.downloadable_files().filter(pk=OuterRef("file"), version=OuterRef("version"))
    living = Render.objects.filter(version__deleted_at=None, version__entry__deleted_at=None).exclude(version__status=Status.WITHDRAWN)
    return living.filter(Exists(files), purpose=Purpose.PREVIEW).exclude(version__preview_settings__enabled=False)


def strength_of(addons: Any, *, alone: bool) -> float:
    """How strongly the version's weights act in a shot: 0 where it shows the base only. `alone`: there is no base, the weights are all."""
    if alone:
        return 1.0
    return max((abs(float(one.get("strength", 1.0))) for one in addons or ()), default=0.0)


def is_offered(render: Render) -> bool:
    """Whether this one is among them. One query for a preview, none for anything else."""
    return render.purpose == Purpose.PREVIEW and offered_previews().filter(pk=render.pk).exists()
