"""Pictures that somebody asked for: the form on a version's page, the page of a render while it is made, and the list of one's own."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.said import said
from hub.web import access, gallery, imagerecipe
from hub.web.outcomes import told
from hub.web.renderforms import RenderForm
from hub.web.site import back, cap_of
from inference import renders, workers
from inference.models import Purpose, Render, Shot
from inference.renderlimits import NoRender
from registry import queries
from registry.formats.errors import FormatError
from registry.lifecycle import RenderState
from registry.models import Version

PAGE = 30
"""Renders in the list of one's own."""
STATES = {
    RenderState.WANTED: (gettext_lazy("Waiting"), "accent"),
    RenderState.RENDERING: (gettext_lazy("Rendering"), "accent"),
    RenderState.MADE: (gettext_lazy("Done"), "ok"),
    RenderState.FAILED: (gettext_lazy("Failed"), "bad"),
    RenderState.CANCELLED: (gettext_lazy("Cancelled"), "warn"),
}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """The form alone, and what it asks for. A refusal is said beside the field, and nothing that was typed is lost."""
    version = _version(request, pk)
    form = RenderForm(request.POST or None, version=version, initial=_like(request))
    if request.method == "POST" and form.is_valid():
        try:
            wanted = renders.request(request.user, **form.wanted())  # type: ignore[arg-type]
        except FormatError as refusal:
            form.add_error(form.field_of(refusal.code), said(refusal.sentence, 600))
        else:
            return redirect("render", pk=wanted.pk)
    context = {"form": form, "version": version, "entry": version.entry}
    if form.errors and getattr(request, "htmx", None):
        return render(request, "previews/refused.html", context)
    return render(request, "previews/try_page.html", context, status=400 if form.errors else 200)


def _like(request: HttpRequest) -> dict[str, Any]:
    """What is filled in beforehand: the recipe of a picture that this person may see, or the words of somebody's image."""
    image = request.GET.get("image", "")
    if _is_id(image):
        return imagerecipe.like(request, int(image))
    wanted = request.GET.get("like", "")
    shot = Shot.objects.select_related("render__version__entry").filter(pk=int(wanted)).first() if _is_id(wanted) else None
    if shot is None or not renders.may_see(request.user, shot.render):
        return {}
    spec = shot.spec
    strengths = [one.get("strength") for one in spec.get("addons", ())]
    named = ("prompt", "negative_prompt", "width", "height", "steps", "cfg_scale", "seed", "clip_skip")
    return {
        **{name: spec.get(name) for name in named},
        "sampler_name": spec.get("sampler"),
        "strength": strengths[0] if strengths else None,
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _version(request: HttpRequest, pk: int) -> Version:
    version = access.version_or_404(request, pk)
    if (version.gone or version.entry.rating > cap_of(request.user)) and not queries.may_edit(request.user, version.entry):
        raise Http404
    return version


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a render is and what came of it; the part alone where a script asks again. Anybody else's does not exist."""
    found = _find(request, pk)
    if found.purpose == Purpose.PREVIEW:
        return redirect("version-by-id", pk=found.version_id)
    part = getattr(request, "htmx", None)
    context = {**context_of(found), "name": gallery.named(request.user, found)}
    return render(request, "previews/render.html" if part else "previews/render_page.html", context)


def context_of(found: Render) -> dict[str, Any]:
    """What `previews/render.html` reads."""
    waiting = found.state == RenderState.WANTED
    title, tone = STATES[RenderState(found.state)]
    return {
        "render": found,
        "gallery": gallery.of(found),
        "title": title,
        "tone": tone,
        "place": renders.place(found),
        "waits_for": workers.why_waiting(found) if waiting else "",
        "version": found.version,
        "entry": found.version.entry,
    }


@login_required
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """What I asked for, newest first."""
    rows = renders.of(request.user)[:PAGE]  # type: ignore[arg-type]
    shown = [
        {"gallery": gallery.of(row), "name": gallery.named(request.user, row), "title": STATES[RenderState(row.state)]} for row in rows
    ]
    return render(request, "accounts/renders.html", {"shown": shown, "most": PAGE})


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _do(request, pk, renders.cancel, _("Cancelled. Pictures that were done stay."))


@login_required
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    return _do(request, pk, renders.retry, _("In the queue again."))


def _do(request: HttpRequest, pk: int, what: Any, done: str) -> HttpResponse:
    found = _find(request, pk)
    if not renders.may_change(request.user, found):
        raise Http404
    told(request, lambda: what(found), done)
    return redirect(back(request, reverse("render", args=[pk])) if request.POST.get("next") else reverse("render", args=[pk]))


def _find(request: HttpRequest, pk: int) -> Render:
    try:
        return renders.find(request.user, pk)
    except NoRender:
        raise Http404 from None
