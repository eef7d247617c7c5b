"""The save box of a model and the page of all that one keeps: notes, collections, follows. Rules are `registry.saving`'s."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hub import pace
from hub.said import said
from hub.web import access
from hub.web.site import back
from registry import queries, saving
from registry.models import Entry, User, Version
from registry.saving import NoSaving

MOST = 200
"""Rows of each list on my page."""


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def save(request: HttpRequest, pk: int) -> HttpResponse:
    """What I keep of a model; POST changes one thing of it, named by `do`, and leads back to where it was asked."""
    entry = access.entry_or_404(request, pk=pk)
    if closed := access.above_limit(request, entry):
        return closed
    user: Any = request.user
    if request.method != "POST":
        return render(request, "community/save_page.html", {"entry": entry, "saved": saving.state(user, entry)})
    if not pace.allowed(request, "save"):
        messages.error(request, _("You have changed very much within an hour. Go on a little later."))
        return redirect("save", pk)
    try:
        messages.success(request, _kept(user, entry, request))
    except NoSaving as refusal:
        messages.error(request, said(refusal.sentence))
        return redirect("save", pk)
    return HttpResponseRedirect(back(request, f"/models/{pk}/save"))


def _kept(user: User, entry: Entry, request: HttpRequest) -> str:
    """Do what `do` says; the sentence that tells of it."""
    given = request.POST
    match given.get("do", ""):
        case "note":
            saving.note(user, entry, given.get("text", ""))
            return _("Your note is kept. Only you read it.") if given.get("text", "").strip() else _("Your note is deleted.")
        case "collect":
            saving.put(user, entry, [int(pk) for pk in given.getlist("in") if _is_id(pk)])
            return _("Your collections are changed.")
        case "new":
            made = saving.create(user, given.get("name", ""), public=bool(given.get("public")))
            saving.put(user, entry, [made.pk, *(one.pk for one in saving.state(user, entry).collections if one.holds)])  # type: ignore[attr-defined]
            return _("It is in the new collection %(name)s.") % {"name": made.name}
        case "follow":
            saving.follow(user, entry, _version(user, entry, given.get("version", "")))
            return _("You follow %(name)s.") % {"name": entry.name}
        case "unfollow":
            saving.unfollow(user, entry)
            return _("You no longer follow %(name)s.") % {"name": entry.name}
        case "follow-creator":
            saving.follow_creator(user, entry.owner)
            return _("You follow %(name)s.") % {"name": entry.owner.username}
        case "unfollow-creator":
            saving.unfollow_creator(user, entry.owner_id)
            return _("You no longer follow %(name)s.") % {"name": entry.owner.username}
    raise NoSaving("save:nothing", _("Choose what to do."), status=400)


def _version(user: User, entry: Entry, given: str) -> Version | None:
    """The version that was looked at; the one that came out last where none is named."""
    published = queries.published_versions().filter(entry=entry)
    named = published.filter(pk=int(given)).first() if _is_id(given) else None
    return named or published.order_by("-published_at", "-pk").first()


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def mine(request: HttpRequest) -> HttpResponse:
    """All that I keep; POST makes a new collection."""
    user: Any = request.user
    if request.method == "POST":
        try:
            made = saving.create(user, request.POST.get("name", ""), public=bool(request.POST.get("public")))
        except NoSaving as refusal:
            messages.error(request, said(refusal.sentence))
            return redirect("my-saved")
        return redirect("collection", made.pk)
    context = {
        "follows": list(saving.followed(user)[:MOST]),
        "creators": list(saving.followed_creators(user)[:MOST]),
        "collections": list(saving.collections(user)),
        "notes": list(saving.notes(user)[:MOST]),
        "most": MOST,
    }
    return render(request, "community/saved.html", context)
