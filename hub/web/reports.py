"""Reports on pages: telling the moderators, their decisions, and what came of mine. Rules are `registry.reports`'."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub import pace
from hub.said import said
from registry import queries, reports
from registry.models import Rating, Report, ReportReason
from registry.reports import NoReport, Thing

MOST = 100
"""Rows of each list on my page of reports."""


class ReportForm(forms.Form):
    """Why a moderator should look at it."""

    reason = forms.ChoiceField(label=gettext_lazy("What is wrong?"), choices=ReportReason.choices, widget=forms.RadioSelect)
    text = forms.CharField(
        label=gettext_lazy("What should the moderators know?"),
        required=False,
        max_length=reports.MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("Where you saw it, how you know. Only moderators read it."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def report(request: HttpRequest, about: str, pk: int) -> HttpResponse:
    """The form, for members and strangers. What may not be read cannot be reported: it does not exist."""
    thing = reports.find(request.user, about, pk)
    if thing is None:
        raise Http404
    form = ReportForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _told(request, thing, form):
        return redirect(address_of(about, pk, thing.row))
    status = 422 if form.errors else 200
    return render(request, "community/report.html", {"form": form, "thing": thing, "back": address_of(about, pk, thing.row)}, status=status)


def _told(request: HttpRequest, thing: Thing, form: ReportForm) -> bool:
    """Whether the moderators know; the form says why not."""
    member = request.user if request.user.is_authenticated else None
    if not pace.allowed(request, "report" if member else "stranger-report"):
        form.add_error(None, _("You have sent many reports within an hour. Go on a little later."))
        return False
    try:
        reports.report(member, thing, **form.cleaned_data)
    except NoReport as refusal:
        form.add_error(None, said(refusal.sentence))
        return False
    messages.success(request, _("Thank you. A moderator will look at it."))
    return True


def address_of(about: str, pk: int, row: Any) -> str:
    """The page on which a thing is shown."""
    if about == "review":
        return f"/model-versions/{row.version_id}/reviews#review-{pk}"
    return {"model": f"/models/{pk}", "version": f"/model-versions/{pk}", "image": f"/images/{pk}"}[about]


@login_required
@require_POST
def decide(request: HttpRequest, about: str, pk: int) -> HttpResponse:
    """What a moderator decides on all open reports of a thing."""
    _only_moderators(request)
    user: Any = request.user
    given, rating = request.POST, request.POST.get("rating", "")
    try:
        count = reports.decide(
            user,
            about,
            pk,
            decision=given.get("decision", ""),
            reason=given.get("reason", "").replace("\x00", ""),
            rating=int(rating) if rating in {str(value) for value in Rating.values} else None,
        )
        messages.success(request, _("Decided. Whom it concerns reads it. Reports closed: %(count)s.") % {"count": count})
    except NoReport as refusal:
        if refusal.status == 403:
            raise PermissionDenied(said(refusal.sentence)) from None
        messages.error(request, said(refusal.sentence))
    return redirect("/moderation#reports")


@login_required
@require_POST
def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Undo a removal."""
    _only_moderators(request)
    row = get_object_or_404(Report, pk=pk)
    user: Any = request.user
    try:
        reports.take_back(user, row)
        messages.success(request, _("The removal is taken back."))
    except NoReport as refusal:
        messages.error(request, said(refusal.sentence))
    return redirect("/moderation#reports")


@login_required
@require_safe
def mine(request: HttpRequest) -> HttpResponse:
    """What became of my reports, and what moderators decided about my things."""
    user: Any = request.user
    context = {"made": list(reports.made_by(user)[:MOST]), "about_mine": list(reports.about_mine(user)[:MOST]), "most": MOST}
    return render(request, "community/my_reports.html", context)


def for_desk() -> dict[str, Any]:
    """What the moderators' page reads of reports. Two queries, one more for reviews, and one where not all fit."""
    groups, removed = reports.groups(), list(reports.removed()[:MOST])
    shown = sum(len(group.rows) for group in groups)
    count = shown if shown < reports.SHOWN else reports.open_reports().count()
    return {"report_groups": groups, "removed_things": removed, "open_reports": count}


def _only_moderators(request: HttpRequest) -> None:
    if not queries.is_moderator(request.user):
        raise PermissionDenied(_("Only moderators may do this."))
