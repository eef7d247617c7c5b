"""The pictures of a render as pages lay them out: a grid, or a table of prompts by strength; and how far it is. No queries, no HTML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hub import pictures
from hub.said import said
from inference.models import Render, Shot
from registry import queries
from registry.formats.plaintext import printable
from registry.lifecycle import RenderState
from registry.models import Version

OPEN = (RenderState.WANTED, RenderState.RENDERING)
ALT_LENGTH = 300


@dataclass(frozen=True)
class Tile:
    """One place of a gallery: a picture, the reason why there is none, or a box that waits for it."""

    shot: Shot
    prompt: str
    label: str
    width: int
    height: int
    source: str = ""
    unfit: str = ""

    @property
    def alt(self) -> str:
        prompt = " ".join(self.prompt.split())
        return printable(f"{self.label}: {prompt}" if self.label else prompt or _("A picture without a prompt"), ALT_LENGTH)


@dataclass(frozen=True)
class Line:
    """The tiles of one prompt."""

    prompt: str
    tiles: list[Tile]


@dataclass
class Gallery:
    """A render as a page shows it. Where `compared`, its tiles stand side by side under `labels`."""

    render: Render
    lines: list[Line] = field(default_factory=list)

    @property
    def tiles(self) -> list[Tile]:
        return [tile for line in self.lines for tile in line.tiles]

    @property
    def labels(self) -> list[str]:
        return [tile.label for tile in self.lines[0].tiles] if self.lines else []

    @property
    def compared(self) -> bool:
        return len(self.labels) > 1 and all([tile.label for tile in line.tiles] == self.labels for line in self.lines)

    @property
    def open(self) -> bool:
        """Whether anything of it still moves."""
        return self.render.state in OPEN

    @property
    def waiting(self) -> bool:
        return self.render.state == RenderState.WANTED

    @property
    def done(self) -> int:
        return sum(bool(tile.source) for tile in self.tiles)

    @property
    def total(self) -> int:
        return len(self.tiles)

    @property
    def percent(self) -> int:
        """Of the steps; of the pictures where no steps are counted."""
        part, whole = (self.render.steps_done, self.render.steps_total) if self.render.steps_total else (self.done, self.total)
        return min(100, 100 * part // whole) if whole else 0

    @property
    def progress(self) -> str:
        """ "2 of 6 pictures, step 52 of 120"."""
        words = ngettext("%(done)s of %(total)s picture", "%(done)s of %(total)s pictures", self.total) % {
            "done": self.done,
            "total": self.total,
        }
        if not self.render.steps_total:
            return words
        steps = {"pictures": words, "done": self.render.steps_done, "total": self.render.steps_total}
        return _("%(pictures)s, step %(done)s of %(total)s") % steps


def of(render: Render) -> Gallery:
    """A render whose version, entry and shots with pictures are loaded (`inference.renders.with_shots`)."""
    return laid_out(render, render.version, render.shots.all())  # type: ignore[attr-defined]


def laid_out(render: Render, version: Version, shots: Iterable[Shot]) -> Gallery:
    """The same of parts that were loaded one by one. Once a render is over, boxes that nothing comes into are left out."""
    lines: dict[int, Line] = {}
    for shot in shots:
        tile = tile_of(shot, pictures.stem_of(render, version))
        if tile.source or tile.unfit or render.state in OPEN:
            lines.setdefault(shot.prompt_number, Line(tile.prompt, [])).tiles.append(tile)
    return Gallery(render, list(lines.values()))


def tile_of(shot: Shot, stem: str) -> Tile:
    """`stem` is what the picture is saved as, before its seed."""
    spec: dict[str, Any] = shot.spec
    prompt = str(spec.get("prompt", ""))
    if shot.picture is None:
        return Tile(shot, prompt, said(shot.label), int(spec.get("width", 512)), int(spec.get("height", 512)), unfit=shot.error)
    source, width, height = pictures.small(shot.picture, f"{stem}-{shot.picture.seed}")
    return Tile(shot, prompt, said(shot.label), width, height, source)


def named(user: Any, render: Render) -> str:
    """What a page calls the version of a render: its name now only where this user may still read it."""
    version = render.version
    shown = queries.may_read_version(user, version)
    return f"{version.entry.name} {version.name}" if shown else _("%(name)s (not shown any more)") % {"name": pictures.file_name(render)}
