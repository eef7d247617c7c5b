"""What a worker does with a render: files checked once more, pictures taken as they come, progress told, and an end in every case.

The child that renders is `engine.py`'s; what is claimed, kept and tried again is `registry.work`'s.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from inference import localweights, pictures, previews, recipes, renderfiles, workers
from inference.diffusion import compiledfolder, jobs, t5folder
from inference.diffusion.jobs import Event
from inference.engine import Engine, machine_memory
from inference.models import Picture, Purpose, Render, Shot
from inference.renderfiles import NoWeights
from registry import lifecycle, queries, timeline
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.lifecycle import LostRace, RenderState
from registry.models import Blob, File
from registry.sandbox.parent import Cancelled
from registry.timeline import PROGRESS_EVERY

STEP = "previews"
"""The step in the timeline of the file whose previews are rendered."""
ASK_AGAIN = timedelta(seconds=30)
"""After this long another worker is told of a render that this one cannot take."""
AHEAD = 4
"""Renders that people asked for, of those that go before previews when a worker is told of a preview."""
GPU_NODES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")
MAX_NOTES, MAX_OUTCOME = 20, 20_000


@cache
def engine() -> Engine:
    """The one render child of this worker process."""
    weak = os.environ.get("WEIGH_ALLOW_WEAK_SANDBOX") == "1"
    lent = t5folder.for_child(_path(settings.T5_DIR)), compiledfolder.for_child(_path(settings.RENDER_COMPILE))
    readable, environment = lent[0][0] + lent[1][0], lent[0][1] | lent[1][1]
    return Engine(device(), gpu=settings.RENDER_GPU, threads=settings.RENDER_THREADS, readable=readable, environment=environment, weak=weak)


def _path(told: str) -> Path | None:
    return Path(told) if told else None


def device() -> str:
    """cpu, cuda, or auto where only the child can tell."""
    told = str(settings.RENDER_DEVICE)
    return "cpu" if told == "auto" and not any(map(os.path.exists, GPU_NODES)) else told


def facts() -> dict[str, Any]:
    """What this worker renders with. No child is started to say that there is no GPU. Raises `EngineTrouble`."""
    if device() == "cpu":
        return {"device": "cpu", "device_name": _processor(), "memory_bytes": machine_memory()}
    return engine().describe()


@cache
def _processor() -> str:
    """The processor's name on Linux."""
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return printable(next(names, "CPU"), 120)


def in_turn(render_id: int) -> Iterator[Render]:
    """What this worker should do now that it was told of one render: before a preview some that people asked for; what it can take."""
    told = lifecycle.take(Render, render_id, RenderState.WANTED)
    if told is None:
        return
    most = workers.takes_on(facts())
    if told.purpose == Purpose.PREVIEW:
        asked = Render.objects.filter(state=RenderState.WANTED, purpose=Purpose.TXT2IMG, weight_bytes__lte=most).order_by("moved_at")
        yield from asked[:AHEAD]
        told = lifecycle.take(Render, render_id, RenderState.WANTED)
    if told is not None and told.weight_bytes > most:
        _put_back(told)
    elif told is not None:
        yield told


def _put_back(render: Render) -> None:
    """Leave a render to a worker that can take it."""
    mine = Render.objects.filter(pk=render.pk, state=render.state, turn=render.turn)
    mine.update(send_after=timezone.now() + ASK_AGAIN, note=workers.why_waiting(render)[:200])


def work(render: Render) -> None:
    """Make a claimed render (state `rendering`). Raises `FormatError` for what is wrong with it, `EngineTrouble`, `LostRace`."""
    try:
        with _step(render):
            _work(render)
    except NoWeights as reason:
        if render.purpose != Purpose.PREVIEW:
            raise
        previews.give_up(render, reason)


def _step(render: Render) -> Any:
    return timeline.step(render.file, STEP) if render.purpose == Purpose.PREVIEW else nullcontext()


def _work(render: Render) -> None:
    blobs = allowed(render)
    shots = list(Shot.objects.filter(render=render, error_code="").order_by("place"))
    left = _without_cached(render, shots)
    outcome: dict[str, Any] = {"cached": len(shots)} if not left else {}
    if left:
        watch = Watch(render, left)
        with localweights.opened(blobs) as fds, watch.answers():
            engine().render(watch.job, fds, watch.heard, watch.cancelled)
        outcome = watch.outcome
    _finish(render, outcome)


def allowed(render: Render) -> list[Blob]:
    """The bytes of a render's files, in their order, if all may still be loaded. Raises `NoWeights` where one may not."""
    rows = {file.pk: file for file in _files(render)}
    return [_still_allowed(render, rows.get(told["file"]), told) for told in render.files]


def _files(render: Render) -> Any:
    return File.objects.select_related("blob", "version__entry__owner").filter(pk__in=[told["file"] for told in render.files])


def _still_allowed(render: Render, file: File | None, told: dict[str, Any]) -> Blob:
    if file is None or not renderfiles.readable_by(render.owner, file):
        raise NoWeights("render:input-gone", f"{told['name']} was deleted or is not yours to read any more, so nothing was rendered.")
    found = renderfiles.checked(file)
    if found.file.pk != file.pk or found.blob.sha256 != told["sha256"] or found.role != told["role"]:
        raise NoWeights("render:input-changed", f"{told['name']} has changed since this was asked for. Ask for it again.")
    return found.blob


def _without_cached(render: Render, shots: list[Shot]) -> list[Shot]:
    """The shots that must be rendered; keys are those of this worker's device, and what was made under them meanwhile is taken."""
    left = [shot for shot in shots if shot.picture_id is None]
    kind, prediction = str(facts()["device"]), render.recipe.get("prediction")
    for shot in left:
        shot.key = recipes.key_of(jobs.Shot.from_json(shot.spec), render.files, prediction, kind)
    with transaction.atomic():
        keys = [shot.key for shot in left]
        known = {picture.key: picture for picture in Picture.objects.select_for_update().filter(key__in=keys)}
        for shot in left:
            shot.picture = known.get(shot.key)
        Shot.objects.bulk_update(left, ["key", "picture"])
    return [shot for shot in left if shot.picture is None]


class Watch:
    """One render in work: its job, what is heard of it, and whether it is still wanted and allowed."""

    def __init__(self, render: Render, shots: list[Shot]) -> None:
        self.render, self.shots = render, shots
        self.mine = Render.objects.filter(pk=render.pk, state=render.state, turn=render.turn)
        self.specs = [jobs.Shot.from_json(shot.spec) for shot in shots]
        self.files = tuple(jobs.JobFile(**{name: told[name] for name in _JOB_FILE}) for told in render.files)
        self.job = jobs.Job(self.files, tuple(self.specs), render.recipe.get("prediction"))
        self.outcome: dict[str, Any] = {}
        self._notes: list[str] = []
        self._before = max(render.steps_total - sum(spec.steps for spec in self.specs), 0)
        self._steps = dict.fromkeys(range(len(shots)), 0)
        self._note, self._told, self._asked = "", 0.0, 0.0
        self._lost, self._forbidden = False, False

    def heard(self, event: Event) -> None:
        """Take what the renderer says."""
        if event.kind == "picture":
            self._keep(event.shots[0], event.png)
        elif event.kind == "unfit":
            self._refuse(event.shots[0], event)
        elif event.kind == "step":
            for place in event.shots:
                self._steps[place] = self.specs[place].steps * event.step // max(event.steps, 1)
        elif event.kind == "note":
            self._notes = [*self._notes, event.note][:MAX_NOTES]
        elif event.kind == "done":
            self.outcome = {**_plain(event.data), "notes": self._notes}
        self._note = event.note[:200] if event.kind == "loading" else "" if event.kind == "step" else self._note
        self._progress(at_once=event.kind in ("picture", "unfit"))

    def _keep(self, place: int, png: bytes) -> None:
        shot, spec = self.shots[place], self.specs[place]
        picture = pictures.store(png, self.files, spec, shot.key, str(facts()["device"]))
        Shot.objects.filter(pk=shot.pk).update(picture=picture, error="", error_code="")
        self._steps[place] = spec.steps

    def _refuse(self, place: int, event: Event) -> None:
        sentence = (event.note or "The picture came out black or without numbers, so it is not shown.") + self._blamed(place)
        Shot.objects.filter(pk=self.shots[place].pk).update(error=sentence, error_code=(event.code or "render:unfit")[:60])
        self._steps[place] = self.specs[place].steps

    def _blamed(self, place: int) -> str:
        """What else than the checkpoint may be at fault for a picture that is none: add-ons that acted on it."""
        acting = {addon.file for addon in self.specs[place].addons if addon.strength or addon.text_strength}
        names = ", ".join(self.files[place].name for place in sorted(acting))
        return f" It was made with {names}: the fault may lie there." if names else ""

    def _progress(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if at_once or now - self._told >= PROGRESS_EVERY:
            self._told = now
            done = self._before + sum(self._steps.values())
            self._lost |= not self.mine.update(steps_done=min(done, self.render.steps_total), note=self._note)

    def cancelled(self) -> bool:
        """Whether to stop: the row is not this worker's any more, or a file may not be loaded any more. Asks the database once a second."""
        now = time.monotonic()
        if now - self._asked >= PROGRESS_EVERY:
            self._asked = now
            wanted = {told["file"] for told in self.render.files}
            self._lost |= not self.mine.exists()
            self._forbidden |= queries.downloadable_files().filter(pk__in=wanted).count() < len(wanted)
        return self._lost or self._forbidden

    @contextmanager
    def answers(self) -> Iterator[None]:
        """Turns a stopped render into the reason. Raises `LostRace`, `NoWeights`."""
        try:
            yield
        except Cancelled:
            if self._forbidden and not self._lost:
                raise NoWeights("render:input-gone", "A file of this render was withdrawn or found dangerous meanwhile.") from None
            raise LostRace(f"render {self.render.pk} was cancelled or taken from us") from None


_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""NUL as JSON writes it, not a backslash that stands before the letters u0000."""
_JOB_FILE = ("role", "name", "sha256", "size_bytes", "autov3")


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """What the renderer said of itself, as it can be stored: bounded, without characters that a database cannot hold."""
    text = _NUL.sub(r"\1", json.dumps(data, ensure_ascii=False).encode("utf-8", "replace").decode())
    return dict(json.loads(text)) if len(text) <= MAX_OUTCOME else {}


def _finish(render: Render, outcome: dict[str, Any]) -> None:
    """Made, if there is a picture; else failed with what the first shot was refused for. Raises that as `FormatError`."""
    shots = list(Shot.objects.filter(render=render).order_by("place"))
    if all(shot.picture_id is None for shot in shots):
        first = next(shot for shot in shots if shot.error)
        raise FormatError(first.error_code, first.error)
    unfit = sum(bool(shot.error) for shot in shots)
    said = {**outcome, **({"unfit": unfit} if unfit else {})}
    lifecycle.advance(render, RenderState.MADE, outcome=said, steps_done=render.steps_total, note="", error="", error_code="")
