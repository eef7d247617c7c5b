"""The page, and the part of a model page, that shows where a version comes from: `hub.lineage` drawn as a graph that reads as lists."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub import lineage
from hub.lineage import HOW, Relative
from hub.web import access
from hub.web.site import cap_of
from registry import components

DRAWN = 6
"""Relatives of one side that are drawn; the others are listed."""
ROW, WIDTH = 88, 56
"""Units of the drawing: height of one relative, width of the strip with the lines."""
PART_NAMES = {components.WHOLE: _("All tensors"), "unet": _("Diffusion model (UNet)"), "vae": _("VAE"), "te": _("Text encoder")}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the graph: who is drawn, the lines to them (path, width), and who is only listed."""

    shown: list[Relative]
    lines: list[tuple[str, float]]
    more: list[Relative]

    @property
    def height(self) -> int:
        return ROW * max(1, len(self.shown))


def side(relatives: list[Relative], *, to_the_right: bool) -> Side:
    """Lines from every relative to the middle of the strip, or from there; the wider, the larger the share."""
    shown = relatives[:DRAWN]
    middle = ROW * len(shown) / 2
    lines = []
    for place, one in enumerate(shown):
        own = ROW * place + ROW / 2
        begin, end = (own, middle) if to_the_right else (middle, own)
        width = 1.5 + min(abs(one.share), 100) / 100 * 5 if one.share is not None else 1.5
        lines.append((f"M0 {begin:g}C{WIDTH / 2:g} {begin:g} {WIDTH / 2:g} {end:g} {WIDTH} {end:g}", round(width, 1)))
    return Side(shown, lines, relatives[DRAWN:])


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """A page, or a part of one where htmx asks."""
    version = access.version_or_404(request, pk)
    found = lineage.of_version(request.user, version, cap_of(request.user))
    context = {
        "version": version,
        "entry": version.entry,
        "lineage": found,
        "parents": side(found.parents, to_the_right=True),
        "children": side(found.children, to_the_right=False),
        "same": [(PART_NAMES[shared.part], shared) for shared in found.same if shared.count],
        "legend": list(HOW.values()),
    }
    htmx = bool(getattr(request, "htmx", False))
    response = render(request, "depth/lineage_part.html" if htmx else "depth/lineage_page.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response
