"""Versions side by side: columns, and rows of pictures of one recipe each. It reads; asking for pictures is `compare.py`'s."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from hub import pictures
from hub.web import gallery
from hub.web.gallery import Tile
from hub.web.renderforms import KINDS
from inference import scenes, workers
from inference.models import Render, Shot
from inference.renderlimits import OPEN
from inference.scenes import Scene
from registry import queries
from registry.lifecycle import RenderState
from registry.models import Version

MOST = 4
"""Versions beside each other: what fits on a screen and can still be told apart."""
ROWS, LONELY_ROWS = 12, 5
"""Scenes at most; where only one version has a picture, scenes are added until there are so many."""
ASKED = 2
"""Scenes that are offered where no version has a picture yet."""
LETTERS = "ABCD"


@dataclass
class Column:
    """One version. `why_none` says why nothing can be rendered of it; `without` is the address without it."""

    letter: str
    version: Version
    why_none: str = ""
    without: str = ""

    @property
    def name(self) -> str:
        return f"{self.version.entry.name} {self.version.name}"


@dataclass
class Cell:
    """One version in one scene: `kind` is picture, coming, unfit, failed, missing or none."""

    column: Column
    kind: str
    shot: Shot | None = None
    tile: Tile | None = None
    original: str = ""
    why: str = ""
    apart: list[str] = field(default_factory=list)

    @property
    def render(self) -> Render | None:
        return self.shot.render if self.shot else None

    @property
    def percent(self) -> int:
        render = self.render
        return min(100, 100 * render.steps_done // render.steps_total) if render and render.steps_total else 0

    @property
    def waits(self) -> bool:
        return bool(self.render and self.render.state == RenderState.WANTED)


@dataclass
class Row:
    """One recipe, and what each version makes of it."""

    number: int
    scene: Scene
    cells: list[Cell]
    own: bool = False

    @property
    def missing(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "missing"]

    @property
    def pictures(self) -> int:
        return sum(cell.kind == "picture" for cell in self.cells)


@dataclass
class Comparison:
    """What the page shows. `hidden`: some that were named are not shown to this visitor; `too_high`: some are rated above their limit."""

    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    hidden: bool = False
    too_high: bool = False
    waits_for: str = ""

    @property
    def moving(self) -> bool:
        return any(cell.kind == "coming" for row in self.rows for cell in row.cells)

    @property
    def slidable(self) -> bool:
        """Whether two pictures of one scene are there, to be laid over each other."""
        return any(row.pictures > 1 for row in self.rows)

    @property
    def versions(self) -> list[Version]:
        return [column.version for column in self.columns]

    @property
    def full(self) -> bool:
        return len(self.columns) >= MOST


def wanted_ids(query: QueryDict) -> list[int]:
    """The versions that an address names, in its order, each once, at most `MOST`."""
    named = [text for text in query.getlist("v")[:50] if re.fullmatch(r"[0-9]{1,18}", text)]
    return list(dict.fromkeys(map(int, named)))[:MOST]


def columns_of(user: Any, cap: int, ids: Sequence[int]) -> Comparison:
    """The versions that this visitor may see among these, one query. What is private counts as what does not exist."""
    rows = queries.readable_versions(user).select_related("entry__owner").filter(pk__in=ids)
    known = {version.pk: version for version in rows}
    shown = [known[pk] for pk in ids if pk in known]
    fit = [version for version in shown if version.entry.rating <= cap or queries.may_edit(user, version.entry)]
    columns = [Column(letter, version, _why_none(version)) for letter, version in zip(LETTERS, fit, strict=False)]
    return Comparison(columns, hidden=len(shown) < len(ids), too_high=len(fit) < len(shown))


def _why_none(version: Version) -> str:
    if version.gone:
        return _("It was withdrawn or deleted, so nothing is rendered of it.")
    if version.entry.kind not in KINDS:
        return _("The hub renders no pictures of this kind of model.")
    return ""


def fill(comparison: Comparison, user: Any, own: Scene | None = None) -> None:
    """Put in the rows: `own` first, then what the versions' previews show. A constant number of queries."""
    open_columns = [column for column in comparison.columns if not column.why_none]
    previews = scenes.previews_of([column.version for column in open_columns])
    by_scene: dict[Scene, dict[int, Shot]] = {}
    for column in open_columns:
        for shot in previews.get(column.version.pk, ()):
            by_scene.setdefault(scenes.scene_of(shot.spec), {}).setdefault(column.version.pk, shot)
    chosen = _chosen(by_scene, open_columns, own)
    asked = scenes.own_of(user, [column.version for column in open_columns], chosen)
    for number, scene in enumerate(chosen):
        cells = [_cell(column, scene, by_scene.get(scene, {}), previews, asked) for column in comparison.columns]
        _tell_apart(cells)
        comparison.rows.append(Row(number, scene, cells, own=scene is own))
    waiting = next((cell.render for row in comparison.rows for cell in row.cells if cell.kind == "coming" and cell.waits), None)
    comparison.waits_for = workers.why_waiting(waiting) if waiting else ""


def _chosen(by_scene: dict[Scene, dict[int, Shot]], columns: Sequence[Column], own: Scene | None) -> list[Scene]:
    """The own one, then those that most versions show."""
    found = sorted(by_scene, key=lambda scene: -len(by_scene[scene]))
    if len(columns) > 1:
        found = [scene for place, scene in enumerate(found[:ROWS]) if place < LONELY_ROWS or len(by_scene[scene]) > 1]
    if not found and columns and own is None:
        found = scenes.standard_scenes(columns[0].version.entry.kind)[:ASKED]
    return [own, *(scene for scene in found if scene != own)] if own else found


def _cell(column: Column, scene: Scene, known: dict[int, Shot], previews: dict[int, list[Shot]], asked: Iterable[Shot]) -> Cell:
    if column.why_none:
        return Cell(column, "none", why=column.why_none)
    version, kind = column.version, column.version.entry.kind
    shot = None if scene.fixed else known.get(version.pk)
    shot = shot or next((one for one in previews.get(version.pk, ()) if scene.is_of(one.spec, kind)), None)
    if shot is None:
        mine = [one for one in asked if one.render.version_id == version.pk and scene.is_of(one.spec, kind)]
        shot = next((one for one in mine if one.picture or one.error or one.render.state in {*OPEN, RenderState.FAILED}), None)
    return _of_shot(column, shot) if shot else Cell(column, "missing")


def _of_shot(column: Column, shot: Shot) -> Cell:
    stem = pictures.stem_of(shot.render, column.version)
    tile = gallery.tile_of(shot, stem)
    if shot.picture:
        return Cell(column, "picture", shot, tile, pictures.original(shot.picture, f"{stem}-{shot.picture.seed}"))
    if shot.error:
        return Cell(column, "unfit", shot, tile, why=shot.error)
    if shot.render.state == RenderState.FAILED:
        return Cell(column, "failed", shot, tile, why=shot.render.error)
    return Cell(column, "coming", shot, tile)


def _tell_apart(cells: Sequence[Cell]) -> None:
    """Beside each picture of a row the settings in which it parts from another: of equal recipes nothing is said."""
    made = [(cell, _settings(cell.shot)) for cell in cells if cell.shot]
    for name in made[0][1] if made else ():
        if len({str(one[name][0]) for _cell, one in made}) > 1:
            for cell, one in made:
                cell.apart.append(one[name][1])


def _settings(shot: Shot) -> dict[str, tuple[Any, str]]:
    """Name -> (what is compared, how a page says it)."""
    spec, files = shot.spec, shot.render.files
    base = str(files[0]["name"]) if files and shot.render.base_id else ""
    sampler = f"{spec.get('sampler')}, {spec.get('schedule')}"
    steps, scale, skip = spec.get("steps"), f"{float(spec.get('cfg_scale') or 0):g}", spec.get("clip_skip", 1)
    size = f"{spec.get('width')} × {spec.get('height')}"
    negative = str(spec.get("negative_prompt") or "")
    return {
        "sampler": (sampler, sampler),
        "steps": (steps, _("%(steps)s steps") % {"steps": steps}),
        "cfg": (scale, _("CFG %(scale)s") % {"scale": scale}),
        "size": (size, size),
        "skip": (skip, _("CLIP skip %(layers)s") % {"layers": skip}),
        "base": (base, _("on %(base)s") % {"base": base} if base else _("by itself")),
        "negative": (negative, _("with a negative prompt of its own") if negative else _("without a negative prompt")),
    }
