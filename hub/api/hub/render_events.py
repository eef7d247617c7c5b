"""What a listener is told of a render, look by look: the feed behind `hub.transport.events`. Whether they may listen was asked before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import close_old_connections

from hub.api.hub.render_answers import picture_data, stem_of
from hub.transport.events import Event, News
from inference import renders, workers
from inference.models import Render, Shot
from registry.lifecycle import RenderState

OPEN = frozenset({RenderState.WANTED, RenderState.RENDERING})


@dataclass
class RenderFeed:
    """One listener's: remembers what it was told. Made of `"<render id> <origin>"`."""

    told: str
    progress: dict[str, Any] = field(default_factory=dict)
    shots: set[int] = field(default_factory=set)

    def look(self) -> News:
        """A few short queries. The row is read before its shots, so that an end comes after its last picture."""
        pk, _, origin = self.told.partition(" ")
        close_old_connections()
        try:
            render = Render.objects.select_related("version__entry").filter(pk=int(pk)).first()
            if render is None:
                return News(
                    [Event("end", {"state": "deleted", "error": "This render was deleted.", "error_code": "gone"}, "end")], over=True
                )
            return self._news(render, origin)
        finally:
            close_old_connections()

    def _news(self, render: Render, origin: str) -> News:
        found = [self._shot(shot, render, origin) for shot in self._fresh(render)]
        progress = _progress(render)
        if progress != self.progress:
            self.progress = progress
            found.append(Event("progress", progress))
        over = render.state not in OPEN
        if over:
            found.append(Event("end", {"state": render.state, "error": render.error, "error_code": render.error_code}, "end"))
        return News(found, over)

    def _fresh(self, render: Render) -> list[Shot]:
        shots = Shot.objects.filter(render=render).exclude(picture=None, error_code="").exclude(pk__in=self.shots)
        fresh = list(shots.select_related("picture").order_by("place"))
        self.shots |= {shot.pk for shot in fresh}
        return fresh

    def _shot(self, shot: Shot, render: Render, origin: str) -> Event:
        plain = {"place": shot.place, "prompt_number": shot.prompt_number, "label": shot.label}
        if shot.picture is None:
            return Event("unfit", {**plain, "error": shot.error, "error_code": shot.error_code})
        return Event("picture", {**plain, "picture": picture_data(shot.picture, origin, stem_of(render))})


def _progress(render: Render) -> dict[str, Any]:
    waiting = render.state == RenderState.WANTED
    done = Shot.objects.filter(render=render).exclude(picture=None).count()
    return {
        "state": render.state,
        "note": render.note,
        "steps_done": render.steps_done,
        "steps_total": render.steps_total,
        "pictures_done": done,
        "pictures_total": Shot.objects.filter(render=render).count(),
        "queue_place": renders.place(render),
        "waits_for": workers.why_waiting(render) if waiting else "",
    }
