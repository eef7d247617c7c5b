"""Works with...: choose a checkpoint, see the add-ons whose tensors are of its family. How well one fits is `hub/compatible.py`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub import compatible
from hub.web.filters import Filters
from hub.web.site import cap_of
from registry import queries, search
from registry.models import File, Role, Version

SHOWN = 24
CHECKPOINTS = ("checkpoint", "unet")


@dataclass(frozen=True)
class Checkpoint:
    """A version to use add-ons with, and the families that its tensors prove."""

    version: Version
    families: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.version.entry.name} {self.version.name}"

    @property
    def address(self) -> str:
        return Filters(fits=self.version.pk).address


def resolve(user: Any, filters: Filters) -> tuple[Filters, Checkpoint | None]:
    """The question with the families of the version that it names; without it where this visitor may not see one, or nothing is proved."""
    if not filters.fits:
        return filters, None
    found = _offered(user, cap_of(user)).filter(version=filters.fits)
    for file in found.order_by("role", "id")[:20]:
        if families := _families(file):
            return filters.but(families=families, after=filters.after), Checkpoint(file.version, families)
    return filters.but(fits=0), None


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """Checkpoints by name, most downloaded first; a visitor's own are among them."""
    text = search.clean(request.GET.get("q", ""))
    files = _offered(request.user, cap_of(request.user)).exclude(role=Role.DERIVED)
    if text:
        files = files.filter(version__entry__name__icontains=text)
    rows: dict[int, Checkpoint] = {}
    for file in files.order_by("-version__entry__download_count", "-version_id", "id")[: SHOWN * 4]:
        if (families := _families(file)) and len(rows) < SHOWN:
            rows.setdefault(file.version_id, Checkpoint(file.version, families))
    return render(request, "catalog/works_with.html", {"text": text, "checkpoints": list(rows.values())})


def _offered(user: Any, cap: int) -> Any:
    """Files of checkpoints that this visitor may be led to: listed, or their own."""
    files = queries.suggested_files(user, cap).filter(blob__detected__kind__in=CHECKPOINTS)
    return files.exclude(blob__detected__family="").select_related("blob", "version__entry__owner")


def _families(file: File) -> tuple[str, ...]:
    found = compatible.families(file.blob.detected if file.blob else {})
    return tuple(name.removesuffix(" unCLIP") for name in found)
