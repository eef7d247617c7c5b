"""Which render workers there are, what they take on, and what that means for a render that waits. They report themselves every 20 s.

It starts nothing and renders nothing: that is `rendering.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from inference.models import Render, RenderWorker

log = logging.getLogger(__name__)
CPU, CUDA = "cpu", "cuda"
NUMBERS = {CPU: "float32", CUDA: "half"}
"""The element types that a device computes with: pictures of one recipe differ between the two, so they are part of a picture's key."""
BEAT_SECONDS = 20.0
HEARD_WITHIN = timedelta(minutes=1)
"""A worker that was silent for so long counts as gone."""


def alive() -> QuerySet[RenderWorker]:
    """Workers that were heard of within the last minute."""
    return RenderWorker.objects.filter(seen_at__gte=timezone.now() - HEARD_WITHIN)


def largest() -> int:
    """Bytes of weights that some worker takes on at most; 0 where there is none."""
    return int(alive().aggregate(most=Max("largest_weights"))["most"] or 0)


def has_gpu() -> bool:
    return alive().filter(device=CUDA).exists()


def expected_device(weight_bytes: int) -> str:
    """The kind of device on which weights of this size will be rendered, as far as can be told beforehand: a GPU where one takes them."""
    return CUDA if alive().filter(device=CUDA, largest_weights__gte=weight_bytes).exists() else CPU


def renderable_now() -> Q:
    """Of waiting renders, those that a worker would take: nobody need be told of the others."""
    return Q(weight_bytes__lte=largest())


def why_waiting(render: Render, workers: Sequence[RenderWorker] | None = None) -> str:
    """What a waiting render waits for where no worker can take it, as a sentence; "" where one can. `workers`: those alive, if known."""
    workers = list(alive()) if workers is None else workers
    if not workers:
        return "No render worker is running here; it waits for one."
    if any(worker.largest_weights >= render.weight_bytes for worker in workers):
        return ""
    waits = "a larger one" if any(worker.device == CUDA for worker in workers) else "one with a GPU"
    return f"No worker here can render {amount(render.weight_bytes)} of weights; it waits for {waits}."


def amount(size_bytes: int) -> str:
    """2.1 GB, 430 MB."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 10**9 else f"{max(size_bytes / 1e6, 0.1):.0f} MB"


def report(name: str, facts: dict[str, Any]) -> RenderWorker:
    """Note that a worker lives. `facts` are those of `engine.describe()`: device, device_name, memory_bytes, largest_weights."""
    device = str(facts["device"]).split(":")[0]
    known = {
        "device": device,
        "device_name": str(facts.get("device_name") or "")[:120],
        "memory_bytes": int(facts.get("memory_bytes") or 0),
        "largest_weights": takes_on(facts),
        "seen_at": timezone.now(),
    }
    return RenderWorker.objects.update_or_create(name=name[:120], defaults=known)[0]


def takes_on(facts: dict[str, Any]) -> int:
    """Bytes of weights that a worker with these facts takes on at most: on a CPU what the settings say."""
    if str(facts["device"]).split(":")[0] == CPU:
        return int(settings.CPU_RENDER_MAX_BYTES)
    return int(facts.get("largest_weights") or facts.get("memory_bytes") or 0)


def forget(name: str) -> None:
    """A worker that stops in good order."""
    RenderWorker.objects.filter(name=name[:120]).delete()


class Heartbeat(threading.Thread):
    """Reports one worker until it is stopped. `describe` is asked once, at the first beat: it may take seconds."""

    def __init__(self, name: str, describe: Any) -> None:
        super().__init__(name="render-heartbeat", daemon=True)
        self._worker, self._describe, self._end = name, describe, threading.Event()

    def run(self) -> None:
        facts: dict[str, Any] | None = None
        while not self._end.is_set():
            try:
                facts = facts or self._describe()
                report(self._worker, facts)
            except Exception:
                log.exception("could not report this render worker")
            finally:
                connection.close()  # nothing is held open between beats, nor inherited by a pool that forks
            self._end.wait(BEAT_SECONDS)

    def stop(self) -> None:
        """Stop, and take the worker off the list."""
        self._end.set()
        try:
            forget(self._worker)
        except Exception:
            log.warning("could not take this render worker off the list", exc_info=True)
        finally:
            connection.close()
