"""Previews of versions: planned when a file becomes ready, planned anew when what they depend on changes, shown while they are true.

What a preview shows is `previewplans.py`. A picture stands for a version only while the file that made it is offered there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from inference import pictures, previewplans, recipes, renderfiles, renderlimits, renders, workers
from inference.diffusion import jobs
from inference.diffusion.prompts import parse
from inference.diffusion.version import RENDERER_VERSION
from inference.models import Picture, PreviewPlan, PreviewSettings, Purpose, Render, Shot
from inference.offered import offered_previews
from inference.previewbases import NO_BASE
from inference.renderlimits import OPEN, NoRender
from registry import lifecycle, queries
from registry.formats.errors import FormatError
from registry.lifecycle import LostRace, RenderState
from registry.models import Status, Version

log = logging.getLogger(__name__)
PREDICTIONS = ("", "epsilon", "v_prediction")
BATCH = 20
"""Versions that one sweep plans at most."""
BASE_EVERY = timedelta(seconds=10)
"""How often what waits for a base is looked at again."""
UNCHANGED: Any = object()


def want_later(version_id: int) -> None:
    """Plan a version's previews once this transaction is through. Trouble over it is logged and found by the sweep."""
    if settings.PREVIEWS:
        transaction.on_commit(partial(_want_quietly, version_id), robust=True)


def _want_quietly(version_id: int) -> bool:
    try:
        version = Version.objects.select_related("entry__owner").filter(pk=version_id).first()
        return version is not None and want(version) is not None
    except Exception:
        log.exception("could not plan the previews of version %s", version_id)
        return False


@transaction.atomic
def want(version: Version) -> PreviewPlan:
    """Plan the previews of a version as it is now; what is planned already stays as it is. The plan says why where there are none."""
    Version.objects.select_for_update().get(pk=version.pk)
    known = PreviewPlan.objects.select_related("render").filter(version=version).first()
    now = {"planned_at": timezone.now(), "renderer": RENDERER_VERSION}
    try:
        plan = previewplans.plan(version)
    except FormatError as reason:
        cancel_open(version)
        said = {"render": None, "digest": "", "code": reason.code[:60], "sentence": reason.sentence}
        return PreviewPlan.objects.update_or_create(version=version, defaults={**now, **said})[0]
    if known and known.render and known.digest == plan.digest and known.render.state != RenderState.CANCELLED:
        return PreviewPlan.objects.update_or_create(version=version, defaults=now)[0]
    cancel_open(version)
    said = {"render": _render(version, plan), "digest": plan.digest, "code": "", "sentence": ""}
    Render.objects.filter(version=version, purpose=Purpose.PREVIEW, state=RenderState.CANCELLED).delete()  # nothing shows them
    return PreviewPlan.objects.update_or_create(version=version, defaults={**now, **said})[0]


def _render(version: Version, plan: previewplans.Plan) -> Render:
    base = None if plan.subject is plan.checkpoint else plan.checkpoint.file
    row = {"owner": version.entry.owner, "purpose": Purpose.PREVIEW, "version": version, "file": plan.subject.file, "base": base}
    return recipes.want(plan.shots, plan.weights, prediction=plan.prediction, **row)


def cancel_open(version: Version) -> int:
    """End the previews of a version that wait or run."""
    return sum(map(_cancelled, Render.objects.filter(version=version, purpose=Purpose.PREVIEW, state__in=OPEN)))


def _cancelled(render: Render) -> bool:
    try:
        lifecycle.advance(render, RenderState.CANCELLED)
    except LostRace:
        return False
    return True


def refresh(limit: int = BATCH) -> dict[str, int]:
    """Plan what was never planned or is due again, and end what may not be rendered any more; how many of each. Called by the scheduler."""
    if not settings.PREVIEWS:
        return {"planned": 0, "cancelled": cancel_stale(limit)}
    versions = due().values_list("pk", flat=True)[:limit]
    return {"planned": sum(map(_want_quietly, versions)), "cancelled": cancel_stale(limit)}


def due() -> QuerySet[Version]:
    """Living versions with a file to download whose plan is missing, older than the version or the renderer, or waits for a base."""
    now = timezone.now()
    offered = Exists(queries.downloadable_files().filter(version=OuterRef("pk")))
    plan = PreviewPlan.objects.filter(version=OuterRef("pk"))
    current = plan.filter(renderer=RENDERER_VERSION, planned_at__gte=OuterRef("updated_at"))
    settled = current.exclude(code=NO_BASE, planned_at__lt=now - BASE_EVERY).exclude(code="", render=None)
    if settings.T5_DIR:  # which was not always there
        settled = settled.exclude(code="render:needs-t5")
    living = Version.objects.filter(deleted_at=None, entry__deleted_at=None).exclude(status=Status.WITHDRAWN)
    return living.filter(offered).exclude(Exists(settled)).order_by(F("preview_plan__planned_at").asc(nulls_first=True), "pk")


def cancel_stale(limit: int = BATCH) -> int:
    """End previews whose file or base is not offered any more: withdrawn, deleted or found dangerous."""
    offered = queries.downloadable_files()
    bad = ~Exists(offered.filter(pk=OuterRef("file"))) | (Q(base__isnull=False) & ~Exists(offered.filter(pk=OuterRef("base"))))
    gone = Q(version__status=Status.WITHDRAWN) | Q(version__deleted_at__isnull=False) | Q(version__entry__deleted_at__isnull=False)
    stale = Render.objects.filter(bad | gone, purpose=Purpose.PREVIEW, state__in=OPEN).select_related("version__entry__owner")
    count = 0
    for render in stale[:limit]:
        count += _cancelled(render)
        PreviewPlan.objects.filter(render=render).update(render=None)
    return count


def give_up(render: Render, reason: FormatError) -> None:
    """End previews that a worker may not render any more; the sweep plans others, or finds the reason why there are none."""
    lifecycle.advance(render, RenderState.CANCELLED, error_code=reason.code[:60], error=reason.sentence)
    PreviewPlan.objects.filter(render=render).update(render=None)


def replan_lost(limit: int = 10 * BATCH) -> int:
    """Have previews planned anew whose file or base is not offered any more; how many. Called now and then."""
    offered = queries.downloadable_files()
    lost = ~Exists(offered.filter(pk=OuterRef("render__file"))) | (
        Q(render__base__isnull=False) & ~Exists(offered.filter(pk=OuterRef("render__base")))
    )
    plans = PreviewPlan.objects.filter(lost, render__isnull=False).values_list("pk", flat=True)[:limit]
    return PreviewPlan.objects.filter(pk__in=list(plans)).update(render=None, digest="")


def drop_superseded(limit: int = 10 * BATCH) -> int:
    """Forget previews behind which newer ones were made more than a day ago, and those that came to nothing; how many."""
    long_ago = timezone.now() - pictures.KEPT_UNSHOWN
    newer = Render.objects.filter(version=OuterRef("version"), purpose=Purpose.PREVIEW, state=RenderState.MADE, pk__gt=OuterRef("pk"))
    old = Render.objects.filter(Exists(newer.filter(moved_at__lt=long_ago)), purpose=Purpose.PREVIEW).exclude(state__in=OPEN)
    return Render.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:limit])).delete()[0]


@transaction.atomic
def configure(
    version: Version,
    *,
    prompts: Sequence[str] = UNCHANGED,
    negative_prompt: str = UNCHANGED,
    base: Version | None = UNCHANGED,
    prediction: str = UNCHANGED,
    enabled: bool = UNCHANGED,
) -> PreviewSettings:
    """Set how the owner wants a version's previews, and plan them so. The caller has checked that the user may change the version.

    Raises `NoRender` `preview:prompts`, `preview:base`, `preview:prediction`, and what is wrong with a prompt.
    """
    row, _ = PreviewSettings.objects.select_for_update().get_or_create(version=version)
    if prompts is not UNCHANGED:
        row.prompts = _checked_prompts(prompts)
    if negative_prompt is not UNCHANGED:
        row.negative_prompt = parse(renderlimits.clean_prompt(negative_prompt, "negative prompt")).text
    if base is not UNCHANGED:
        row.base = _checked_base(version, base)
    if prediction is not UNCHANGED:
        if prediction not in PREDICTIONS:
            raise NoRender("preview:prediction", "The prediction is epsilon or v_prediction, or empty where the file tells.")
        row.prediction = prediction
    if enabled is not UNCHANGED:
        row.enabled = bool(enabled)
    row.save()
    want_later(version.pk)
    return row


def _checked_prompts(prompts: Sequence[str]) -> list[str]:
    if len(prompts) > previewplans.MAX_PROMPTS:
        raise NoRender(
            "preview:prompts", f"At most {previewplans.MAX_PROMPTS} prompts are rendered for a version; these are {len(prompts)}."
        )
    return [text for text in (parse(renderlimits.clean_prompt(one, "prompt")).text for one in prompts) if text]


def _checked_base(version: Version, base: Version | None) -> Version | None:
    if base is None:
        return None
    if base.gone or not queries.may_read_version(version.entry.owner, base):
        raise NoRender("preview:base", "There is no such version to render on, or it is not yours to see.", 404)
    if base.pk == version.pk or renderfiles.of_version(base).role != jobs.CHECKPOINT:
        raise NoRender("preview:base", f"{base} is no checkpoint that this could be rendered on.")
    return base


@dataclass(frozen=True)
class PreviewStatus:
    """How it stands with a version's previews, for pages and programs.

    `kind`: "none" (and there will be none), "waiting" (for what `sentence` says), "queued" (`place` from 1), "rendering" (`done` of `total`
    pictures), "made", "failed". `code` tells programs why in the first two and the last.
    """

    kind: str
    sentence: str = ""
    code: str = ""
    place: int | None = None
    done: int = 0
    total: int = 0
    render: Render | None = None


SOON = PreviewStatus("waiting", "Its previews will be planned within a minute.", "preview:soon")


def status(version: Version) -> PreviewStatus:
    """How it stands with a version's previews now."""
    if version.gone:
        return PreviewStatus("none", "This version was withdrawn or deleted.", "render:withdrawn")
    plan = PreviewPlan.objects.select_related("render").filter(version=version).first()
    if plan is None:
        return SOON if settings.PREVIEWS else PreviewStatus("none", "This hub renders previews only when it is asked.", "preview:off")
    if plan.code:
        return PreviewStatus("waiting" if plan.code == NO_BASE else "none", plan.sentence, plan.code)
    return _status_of(plan.render) if plan.render else SOON


def _status_of(render: Render) -> PreviewStatus:
    shots = list(Shot.objects.filter(render=render).values_list("picture", "error"))
    done, total = sum(picture is not None for picture, _ in shots), len(shots)
    known: dict[str, Any] = {"done": done, "total": total, "render": render}
    if render.state == RenderState.WANTED:
        why = workers.why_waiting(render)
        if why:
            return PreviewStatus("waiting", why, "preview:no-worker", **known)
        place = renders.place(render)
        return PreviewStatus("queued", f"Number {place} in the queue.", place=place, **known)
    if render.state == RenderState.RENDERING:
        return PreviewStatus("rendering", f"{done} of {total} pictures are rendered.", **known)
    if render.state == RenderState.MADE:
        unfit = sum(bool(error) for _, error in shots)
        return PreviewStatus("made", f"{unfit} of {total} came out as no pictures." if unfit else "", **known)
    if render.state == RenderState.FAILED:
        return PreviewStatus("failed", render.error, render.error_code, **known)
    return PreviewStatus("none", "These previews were cancelled.", "preview:cancelled", **known)


@dataclass(frozen=True)
class Shown:
    """The pictures of one render that stand for a version; `rows` holds the shots of each prompt side by side, in their order."""

    render: Render
    shots: list[Shot]

    @property
    def rows(self) -> list[list[Shot]]:
        found: dict[int, list[Shot]] = {}
        for shot in self.shots:
            found.setdefault(shot.prompt_number, []).append(shot)
        return list(found.values())


def shown(version: Version) -> Shown | None:
    """The pictures that stand for a version now: of its newest previews that are made, else those that are done of the ones in work."""
    rows = offered_previews().filter(version=version, shots__picture__isnull=False).distinct().order_by("-pk")
    render = rows.filter(state=RenderState.MADE).first() or rows.exclude(state=RenderState.CANCELLED).first()
    if render is None:
        return None
    shots = Shot.objects.filter(render=render, picture__isnull=False).select_related("picture").order_by("place")
    return Shown(render, list(shots))


def covers(versions: Iterable[int | Version]) -> dict[int, Picture]:
    """Version id -> the picture that stands for it in lists: of the first prompt, the strongest. One query for all; ids or versions."""
    ids = [one if isinstance(one, int) else one.pk for one in versions]
    made = offered_previews().filter(version__in=ids, state=RenderState.MADE)
    shots = Shot.objects.filter(render__in=made, picture__isnull=False).select_related("picture", "render")
    best = shots.order_by("render__version_id", "-render_id", "prompt_number", "-place").distinct("render__version_id")
    return {shot.render.version_id: shot.picture for shot in best if shot.picture is not None}
