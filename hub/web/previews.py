"""The previews of a version on its page: pictures, or what they wait for, and what their owner does about them.

What is rendered, and when, are `inference.previews`' rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.said import said
from hub.web import access, gallery
from hub.web.gallery import Gallery
from hub.web.renderforms import PreviewForm
from hub.web.site import cap_of
from inference import previews, renders
from inference.models import PreviewSettings, Shot
from inference.previewbases import has_base
from inference.previews import PreviewStatus
from registry import queries
from registry.formats.errors import FormatError
from registry.lifecycle import RenderState
from registry.models import Version

MOVING = ("queued", "rendering")
"""Kinds of status that change by themselves within seconds."""
IN_WORK = (*MOVING, "waiting", "failed")


@dataclass
class Shown:
    """What `previews/section.html` reads. The gallery may be of older previews than those in work, of which `work` tells."""

    version: Version
    status: PreviewStatus
    gallery: Gallery | None
    work: Gallery | None
    may_edit: bool
    MOVING = MOVING

    @property
    def mark(self) -> str:
        """What the page shows now, in short: whoever has it already is not sent it again."""
        work = (self.work.render.pk, self.work.render.steps_done, self.work.render.note, self.work.done) if self.work else ()
        return f"{self.status.kind} {self.status.place} {self.status.code} {work}"

    @property
    def poll_seconds(self) -> int:
        """When to ask again; 0 for never. What waits for a worker or for a plan is asked for more slowly."""
        if self.status.kind in MOVING:
            return 2
        return 15 if self.status.code in {"preview:soon", "preview:no-worker"} else 0

    @property
    def told(self) -> bool:
        """Whether there is something to say beside the pictures: owners learn everything, visitors what is still to come."""
        return self.poll_seconds > 0 or (self.may_edit and (self.status.kind != "made" or bool(self.status.sentence)))


def shown(version: Version, may_edit: bool) -> Shown:
    """A version's previews for its page, in a constant number of queries."""
    status, found = previews.status(version), previews.shown(version)
    work = _in_work(version, status)
    made = gallery.laid_out(found.render, version, found.shots) if found and found.render.state == RenderState.MADE else None
    if made is None and work is not None and (work.done or status.kind == "rendering"):
        made = work
    return Shown(version, status, made, work, may_edit)


def _in_work(version: Version, status: PreviewStatus) -> Gallery | None:
    if status.render is None or status.kind not in IN_WORK:
        return None
    shots = Shot.objects.filter(render=status.render).select_related("picture").order_by("place")
    return gallery.laid_out(status.render, version, shots)


@require_safe
def section(request: HttpRequest, pk: int) -> HttpResponse:
    """The previews alone, asked for again while they are made."""
    version = access.version_or_404(request, pk)
    may_edit = queries.may_edit(request.user, version.entry)
    if (version.gone or version.entry.rating > cap_of(request.user)) and not may_edit:
        raise Http404
    now = shown(version, may_edit)
    if request.GET.get("seen") == now.mark:
        return HttpResponse(status=204)
    return render(request, "previews/section.html", {"previews": now, "version": version, "entry": version.entry})


@login_required
@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Render what is missing: a failed render once more, else whatever the version's settings ask for now."""
    version = access.editable_version(request, pk)
    status = previews.status(version)
    try:
        if status.render is not None and status.render.state == RenderState.FAILED:
            renders.retry(status.render)
            messages.success(request, _("The previews are in the queue again."))
        else:
            _planned(request, version)
    except FormatError as refusal:
        messages.error(request, said(refusal.sentence, 600))
    return _page(version)


def _planned(request: HttpRequest, version: Version) -> None:
    plan = previews.want(version)
    if plan.code:
        messages.error(request, said(plan.sentence, 600))
    elif plan.render is not None and plan.render.state == RenderState.MADE:
        messages.success(request, _("These previews are up to date: the same recipe on the same weights gives the same pictures."))
    else:
        messages.success(request, _("The previews are in the queue."))


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.editable_version(request, pk)
    if previews.cancel_open(version):
        messages.success(request, _("The previews are cancelled. Pictures that were done stay."))
    else:
        messages.error(request, _("No previews wait or are being rendered: there is nothing to cancel."))
    return _page(version)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest, pk: int) -> HttpResponse:
    """How the owner wants the previews: prompts, negative prompt, base, or none at all."""
    version = access.editable_version(request, pk)
    row = PreviewSettings.objects.filter(version=version).first() or PreviewSettings(version=version)
    form = PreviewForm(request.POST or None, row=row, bases=_bases(request, version))
    if request.method == "POST" and form.is_valid():
        try:
            previews.configure(version, **form.chosen())
        except FormatError as refusal:
            form.add_error(form.field_of(refusal.code), said(refusal.sentence, 600))
        else:
            messages.success(request, _("Saved. Pictures that this asks for are put into the queue."))
            return _page(version)
    context = {"form": form, "version": version, "entry": version.entry, "standard": form.standard}
    return render(request, "previews/settings.html", context, status=400 if form.errors else 200)


def _bases(request: HttpRequest, version: Version) -> list[Version] | None:
    """Checkpoints that an add-on may be rendered on: published ones that this person is led to, of all families, and their own. None for
    what makes pictures by itself.
    """
    if not has_base(version):
        return None
    files = queries.suggested_files(request.user, cap_of(request.user)).filter(blob__detected__kind__in=["checkpoint", "unet"])
    ids = files.order_by("-version__entry__download_count", "-version_id").values_list("version_id", flat=True)[:300]
    found = Version.objects.filter(pk__in=set(ids)).select_related("entry__owner")
    return sorted(found, key=lambda one: (one.entry.name.casefold(), one.pk))


def _page(version: Version) -> HttpResponse:
    return redirect("model-version", creator=version.entry.owner.username, slug=version.entry.slug, version=version.pk)
