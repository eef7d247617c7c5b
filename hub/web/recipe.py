"""The page of one rendered picture: how it was made, to read, to copy and to make again. Also shown in a dialog over the gallery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render as rendered
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from hub import pictures
from hub.web import access, gallery
from hub.web.gallery import Tile
from inference import renders
from inference.models import Picture, Purpose, Render, Shot
from registry import queries

ROLES = {
    "checkpoint": gettext_lazy("Checkpoint"),
    "vae": gettext_lazy("VAE"),
    "lora": gettext_lazy("LoRA"),
    "embedding": gettext_lazy("Embedding"),
    "hypernetwork": gettext_lazy("Hypernetwork"),
}
SHORT = 10
"""Digits of a SHA-256 that A1111 writes as "Model hash"."""


@dataclass(frozen=True)
class Weight:
    """A file that took part: what it was to the picture, and how strongly it acted where that can be chosen."""

    role: str
    name: str
    sha256: str
    strength: str = ""


@dataclass
class Recipe:
    """What the template reads."""

    shot: Shot
    render: Render
    picture: Picture
    tile: Tile
    original: str
    weights: list[Weight]
    before: Shot | None
    after: Shot | None

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.shot.spec)

    @property
    def facts(self) -> list[tuple[str, Any]]:
        spec = self.spec
        named = {
            _("Sampler"): f"{spec.get('sampler')}, {spec.get('schedule')}",
            _("Steps"): spec.get("steps"),
            _("CFG scale"): f"{spec.get('cfg_scale', 0):g}",
        }
        return [*named.items(), (_("Seed"), spec.get("seed")), (_("Size"), f"{self.picture.width} x {self.picture.height}"), *self._skip()]

    def _skip(self) -> list[tuple[str, Any]]:
        skip = self.spec.get("clip_skip", 1)
        return [(_("CLIP skip"), skip)] if skip and skip > 1 else []


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """A page of its own; the part that a dialog shows where a script asks."""
    shot = Shot.objects.select_related("picture", "render").filter(pk=pk).first()
    render = renders.with_shots(Render.objects.filter(pk=shot.render_id)).first() if shot else None
    if shot is None or shot.picture is None or render is None or not renders.may_see(request.user, render):
        raise Http404
    entry = render.version.entry
    if not renders.may_change(request.user, render) and (closed := access.above_limit(request, entry)):
        return closed
    context = {
        "recipe": assemble(request.user, render, shot),
        "entry": entry,
        "version": render.version,
        "name": gallery.named(request.user, render),
        "own": render.purpose == Purpose.TXT2IMG,
    }
    part = getattr(request, "htmx", None)
    return rendered(request, "previews/recipe.html" if part else "previews/recipe_page.html", context)


def assemble(user: Any, render: Render, shot: Shot) -> Recipe:
    """A shot of a render that came from `renders.with_shots`, as this user may see it. No queries."""
    shown = [one for one in render.shots.all() if one.picture is not None]  # type: ignore[attr-defined]
    at = next(place for place, one in enumerate(shown) if one.pk == shot.pk)
    shot, picture, stem = shown[at], shown[at].picture, pictures.stem_of(render, render.version)
    return Recipe(
        shot,
        render,
        picture,
        gallery.tile_of(shot, stem),
        pictures.original(picture, f"{stem}-{picture.seed}"),
        _weights(user, render, shot),
        shown[at - 1] if at else None,
        shown[at + 1] if at + 1 < len(shown) else None,
    )


def _weights(user: Any, render: Render, shot: Shot) -> list[Weight]:
    """The checkpoint, and of the other files those that act in this shot.

    Of a base that this user may not see the hash is cut to what the picture itself tells, as A1111 writes it.
    """
    files: list[dict[str, Any]] = render.files
    if files and render.base is not None and not queries.may_read_version(user, render.base.version):
        files = [{**files[0], "sha256": str(files[0]["sha256"])[:SHORT]}, *files[1:]]
    acting = [(files[one["file"]], one) for one in shot.spec.get("addons", ()) if 0 < one["file"] < len(files)]
    return [_weight(one) for one in files[:1]] + [_weight(one, _strength(one, addon)) for one, addon in acting]


def _weight(file: dict[str, Any], strength: str = "") -> Weight:
    return Weight(str(ROLES.get(file["role"], file["role"])), str(file["name"]), str(file["sha256"]), strength)


def _strength(file: dict[str, Any], addon: dict[str, Any]) -> str:
    if file["role"] not in {"lora", "hypernetwork"}:
        return ""
    text = addon.get("text_strength")
    strength = f"{addon.get('strength', 1.0):g}"
    return (
        _("%(strength)s, text encoder %(text)s") % {"strength": strength, "text": f"{text:g}"}
        if text is not None and text != addon.get("strength")
        else strength
    )
