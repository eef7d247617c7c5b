"""Tells a browser that the work on a version or a file has moved: the feeds behind `hub.transport.events`. The page then asks for itself.

Only that something is new is sent, never what: whoever listens reads the page, which asks anew whether they may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import close_old_connections
from django.db.models import Max, Q, Sum

from hub.transport.events import Event, News
from inference.models import Derivative, Purpose, Render
from registry.lifecycle import DerivativeState, FileState, RenderState
from registry.models import File, TimelineStep, Version

MOVING_FILES = frozenset(
    {FileState.UPLOADING, FileState.QUEUED, FileState.SCANNING, FileState.CLEAN, FileState.CONVERTING, FileState.DANGER}
)
MOVING_VARIANTS = frozenset({DerivativeState.WANTED, DerivativeState.MAKING})
MOVING_RENDERS = frozenset({RenderState.WANTED, RenderState.RENDERING})
QUIET_LOOKS = 40
"""Looks without anything in work after which a listener is sent home: previews are planned some seconds after a file is ready."""


@dataclass
class WorkFeed:
    """One listener's. Made of `"version <id>"` or `"file <id>"`; whether they may listen was asked before."""

    told: str
    seen: tuple[Any, ...] | None = None
    quiet: int = 0

    def look(self) -> News:
        """Five short queries: a fingerprint of all that the page shows of the work."""
        close_old_connections()
        try:
            now, moving = self._fingerprint()
        finally:
            close_old_connections()
        news = [Event("news", {})] if now != self.seen else []  # also at first: the page may be older than this stream
        self.seen, self.quiet = now, 0 if moving or news else self.quiet + 1
        if self.quiet >= QUIET_LOOKS:
            return News([*news, Event("end", {}, "end")], over=True)
        return News(news)

    def _fingerprint(self) -> tuple[tuple[Any, ...], bool]:
        what, _, text = self.told.partition(" ")
        pk = int(text)
        own = Q(version=pk) if what == "version" else Q(pk=pk) | Q(source=pk)
        files = list(File.kept.filter(own).order_by("pk").values_list("pk", "state", "turn", "version"))
        pks = [row[0] for row in files]
        steps = TimelineStep.objects.filter(file__in=pks).aggregate(last=Max("pk"), done=Sum("done_bytes"), ended=Max("finished_at"))
        variants = list(Derivative.objects.filter(source__in=pks).order_by("pk").values_list("pk", "state", "result"))
        versions = {row[3] for row in files} or ({pk} if what == "version" else set())
        renders = list(
            Render.objects.filter(version__in=versions, purpose=Purpose.PREVIEW)
            .order_by("-pk")
            .values_list("pk", "state", "steps_done")[:1]
        )
        status = list(Version.objects.filter(pk__in=versions).values_list("status", "publish_at"))
        moving = (
            any(row[1] in MOVING_FILES for row in files)
            or any(row[1] in MOVING_VARIANTS for row in variants)
            or any(row[1] in MOVING_RENDERS for row in renders)
        )
        return (files, tuple(steps.values()), variants, renders, status), moving
