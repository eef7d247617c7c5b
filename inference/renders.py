"""Renders on request: wanted by a person, made by a worker, shown to whom they concern. What the worker does is `rendering.py`.

Files and permissions are asked twice, when a render is wanted and when a worker begins it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from inference import recipes, renderaddons, renderfiles, renderlimits
from inference.diffusion import jobs, prompts, samplernames
from inference.models import PreviewSettings, Purpose, Render, Shot
from inference.offered import is_offered
from inference.previewbases import base_for
from inference.recipes import PlannedShot
from inference.renderfiles import Weights
from inference.renderlimits import OPEN, NoRender
from registry import lifecycle, queries
from registry.lifecycle import RenderState
from registry.models import User, Version

Wanted = Mapping[str, Any]


def request(
    user: User,
    *,
    version_id: int,
    prompt: str = "",
    negative_prompt: str | None = None,
    width: int | None = None,
    height: int | None = None,
    sampler_name: str | None = None,
    scheduler: str | None = None,
    cfg_scale: float | None = None,
    steps: int | None = None,
    seed: int = -1,
    clip_skip: int | None = None,
    batch_size: int = 1,
    n_iter: int = 1,
    loras: Sequence[Wanted] = (),
    embeddings: Sequence[Wanted] = (),
    vae: Wanted | None = None,
    base: Wanted | None = None,
) -> Render:
    """Want pictures of a version. What is None is as the version recommends it, else as its family has it.

    An add-on is rendered on `base`, else on the one that its previews have. `loras` are {"version_id" or "file_id", "strength"}, as are
    `embeddings`, `vae` and `base` without a strength; `<lora:name:0.8>` in the prompt names a file of this hub. The pictures have the
    seeds `seed`, `seed` + 1, ... Raises `NoRender`, `NoWeights` and other FormatErrors whose sentences name the limit.
    """
    count = renderlimits.check_count(batch_size, n_iter)
    renderlimits.check_room(user, count)  # once more below, with nobody beside us: what lies between costs more than these questions
    renderlimits.check_numbers(steps=_or(steps, 1), cfg_scale=_or(cfg_scale, 1.0), seed=seed, clip_skip=_or(clip_skip, 1))
    if width is not None and height is not None:
        renderlimits.check_size(width, height)
    text = renderlimits.clean_prompt(prompt, "prompt")
    negative = None if negative_prompt is None else renderlimits.clean_prompt(negative_prompt, "negative prompt")
    subject = renderfiles.find(user, {"version_id": version_id})
    checkpoint, read = _checkpoint(user, subject, base), prompts.parse(text)
    lists = {"loras": loras, "embeddings": embeddings, "vaes": [vae] if vae else []}
    chosen = renderaddons.choose(user, checkpoint, subject, read.networks, **lists)
    chosen.check_words(read.text, negative or "")
    given = {"steps": steps, "cfg_scale": cfg_scale, "clip_skip": clip_skip, "negative_prompt": negative, "width": width, "height": height}
    usual = _usual(subject, checkpoint, chosen.files, sampler_name, scheduler)
    frame = {**usual, **{name: value for name, value in given.items() if value is not None}}
    spec = jobs.Shot(**{**frame, "cfg_scale": float(frame["cfg_scale"])}, prompt=read.text, addons=tuple(chosen.acting))
    renderlimits.check_size(spec.width, spec.height)
    first = secrets.randbelow(renderlimits.MAX_SEED + 1) if seed == -1 else seed
    planned = [PlannedShot(replace(spec, seed=first + number), number, f"seed {first + number}") for number in range(count)]
    asked = {"prompt": text, "negative_prompt": spec.negative_prompt, "seed": seed, "batch_size": batch_size, "n_iter": n_iter}
    row = {"owner": user, "version": subject.file.version, "file": subject.file, "base": _base(subject, checkpoint)}
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        renderlimits.check_room(user, count)
        recipe = {**asked, "notes": [*chosen.notes, *read.notes]}
        return recipes.want(planned, chosen.files, prediction=prediction_of(checkpoint.file.version), recipe=recipe, **row)


def _usual(subject: Weights, checkpoint: Weights, files: Sequence[Weights], sampler: str | None, schedule: str | None) -> dict[str, Any]:
    """What a shot has where nobody says otherwise. Raises FormatError for an unknown sampler, and for what cannot be rendered."""
    usual = recipes.recommended(subject.file.version, checkpoint.file.version)
    if sampler or schedule:
        usual["sampler"], usual["schedule"] = samplernames.resolve(sampler or usual["sampler"], schedule or samplernames.AUTOMATIC)
    side = renderfiles.native_size(checkpoint, files, prediction_of(checkpoint.file.version))
    return {**usual, "width": side, "height": side}


def _or(value: Any, usual: Any) -> Any:
    return usual if value is None else value


def _checkpoint(user: User, subject: Weights, base: Wanted | None) -> Weights:
    """What the pictures are made with: the version itself, or the base of an add-on. Raises `NoRender`, `NoWeights`."""
    if subject.role == jobs.CHECKPOINT:
        if base is not None:
            raise NoRender("render:base", "A checkpoint is rendered by itself; leave `base` out.")
        return subject
    if base is None:
        return base_for(subject, user)
    found = renderfiles.find(user, base, what="base")
    if found.role != jobs.CHECKPOINT:
        raise NoRender("render:base", f"{found.file.name} is no checkpoint, so nothing can be rendered on it.")
    return found


def _base(subject: Weights, checkpoint: Weights) -> Any:
    return checkpoint.file if checkpoint.file != subject.file else None


def prediction_of(version: Version) -> str | None:
    """The owner's word on what a checkpoint's UNet predicts; None where the file tells."""
    row = PreviewSettings.objects.filter(version=version).first()
    return row.prediction or None if row else None


def cancel(render: Render) -> Render:
    """End a render that waits or runs; its worker learns it within two seconds. Finished pictures stay. Raises `NoRender` (409)."""
    ended = lifecycle.cancel(render, RenderState.CANCELLED, OPEN)
    if ended is not None:
        return ended
    raise NoRender("render:over", f"This render is {render.state} already: there is nothing to cancel.", 409)


def retry(render: Render) -> Render:
    """Want a failed render once more; its pictures that are done stay. Raises `NoRender`."""
    if render.state != RenderState.FAILED:
        raise NoRender("retry:nothing", f"This render is {render.state}; only a failed one can be tried again.", 409)
    try:
        with transaction.atomic():
            User.objects.select_for_update().get(pk=render.owner_id)
            if render.purpose == Purpose.TXT2IMG:
                renderlimits.check_room(render.owner, 0)
            Shot.objects.filter(render=render, picture=None).update(error="", error_code="")
            return lifecycle.retry(render, RenderState.WANTED)
    except lifecycle.LostRace:
        raise NoRender("retry:moved", "Something else happened to this render just now. Look at it again.", 409) from None


def of(user: User) -> QuerySet[Render]:
    """A person's own renders, newest first, with what answers and pages show of them."""
    rows = with_shots(Render.objects.filter(owner=user, purpose=Purpose.TXT2IMG)).order_by("-pk")
    return lifecycle.with_places(rows, lifecycle.BEFORE & Q(purpose=Purpose.TXT2IMG))


def with_shots(rows: QuerySet[Render]) -> QuerySet[Render]:
    """Version, entry, file, base and shots with their pictures, in a constant number of queries."""
    known = rows.select_related("owner", "version__entry__owner", "file__blob", "base__blob", "base__version__entry__owner")
    return known.prefetch_related("shots__picture")


def find(user: Any, pk: int) -> Render:
    """A render that this user may see: its owner, moderators, and a preview that is offered whoever may read its version.

    Raises `NoRender` 404.
    """
    render = with_shots(Render.objects.filter(pk=pk)).first()
    if render is None or not may_see(user, render):
        raise NoRender("not_found", "There is no such render, or it is not yours to see.", 404)
    return render


def may_see(user: Any, render: Render) -> bool:
    """As the bytes of its pictures: what was withdrawn, sealed or switched off is for those alone who may change it."""
    return may_change(user, render) or (queries.may_read_version(user, render.version) and is_offered(render))


def may_change(user: Any, render: Render) -> bool:
    """Cancel and try again: who asked for it, who owns the version of a preview, moderators."""
    own = bool(user and user.is_authenticated and render.owner_id == user.pk)
    return own or queries.is_moderator(user) or (render.purpose == Purpose.PREVIEW and queries.may_edit(user, render.version.entry))


def place(render: Render) -> int | None:
    """1 for the render that is taken next; None for one that does not wait. What people ask for goes before previews."""
    if render.state != RenderState.WANTED or lifecycle.AHEAD in render.__dict__:
        return lifecycle.place_in_queue(render)
    waiting = Render.objects.filter(state=RenderState.WANTED)
    if render.purpose == Purpose.TXT2IMG:
        ahead = waiting.filter(purpose=Purpose.TXT2IMG, moved_at__lt=render.moved_at)
    else:
        ahead = waiting.filter(Q(purpose=Purpose.TXT2IMG) | Q(moved_at__lt=render.moved_at))
    return ahead.count() + 1


def forget_old(limit: int = 200) -> int:
    """Forget what people asked for more than `KEEP_RENDERS_DAYS` ago and is over; how many. `pictures.collect` gives back the bytes."""
    if not settings.KEEP_RENDERS_DAYS:
        return 0
    before = timezone.now() - timedelta(days=settings.KEEP_RENDERS_DAYS)
    old = Render.objects.filter(purpose=Purpose.TXT2IMG, moved_at__lt=before).exclude(state__in=OPEN)
    pks = list(old.order_by("pk").values_list("pk", flat=True)[:limit])
    Render.objects.filter(pk__in=pks).exclude(state__in=OPEN).delete()
    return len(pks)
