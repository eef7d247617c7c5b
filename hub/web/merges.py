"""My merges: those that wait, run or failed among my models, and a page of each while it is made. Asking for one is `merging_page.py`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hub import merging
from hub.web.mergeform import FILES
from hub.web.outcomes import told
from hub.web.site import back
from inference import merges, mergewords
from inference.models import Merge
from registry import lifecycle
from registry.formats.plaintext import printable
from registry.lifecycle import MergeState
from registry.models import User

SHOWN = 10


@dataclass(frozen=True)
class Work:
    """One merge as a line."""

    merge: Merge
    line: str
    open: bool


def context(user: User) -> dict[str, Any]:
    """What `accounts/merges.html` reads: open merges and the last failed ones, and whether any still moves."""
    rows = lifecycle.with_places(merges.of(user)).filter(state__in=[*merges.OPEN, MergeState.FAILED])[:SHOWN]
    shown = [Work(merge, _line(merge), merge.state in merges.OPEN) for merge in rows]
    return {"merges": shown, "running": any(work.open for work in shown)}


def _line(merge: Merge) -> str:
    title = {"title": mergewords.title(merge.recipe)}
    if merge.state == MergeState.MERGING:
        return _("%(title)s, merging") % title
    if merge.state == MergeState.FAILED:
        return _("%(title)s, failed") % title
    return _("%(title)s, place %(place)s in the queue") % {**title, "place": lifecycle.place_in_queue(merge)}


@login_required
@require_safe
def running(request: HttpRequest) -> HttpResponse:
    """The list alone, asked for again while something moves."""
    return render(request, "accounts/merges.html", context(request.user))  # type: ignore[arg-type]


@login_required
@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """One merge of one's own: how far it is, how to end it, and what came out; the part alone where a script asks again."""
    merge = merges.of(request.user).filter(pk=pk).first()  # type: ignore[arg-type]
    if merge is None:
        raise Http404
    context = {
        "merge": merge,
        "lineage": merging.shown(request.user, merge),
        "open": merge.state in merges.OPEN,
        "place": lifecycle.place_in_queue(merge),
        "again": again_query(merge),
    }
    part = getattr(request, "htmx", None)
    return render(request, "merge/work.html" if part else "merge/work_page.html", context)


def again_query(merge: Merge) -> str:
    """The merge page's query for the same merge, to change something of it."""
    recipe = merge.recipe
    files = {row.role: row.file_id for row in merge.inputs.all() if row.file_id and row.role in FILES}
    named = {name: recipe[name] for name in ("method", "multiplier", "precision", "discard") if recipe.get(name) not in (None, "")}
    blocks = {"block_weights": ", ".join(f"{weight:g}" for weight in recipe["blocks"])} if recipe.get("blocks") else {}
    strengths = {f"lora{number}": strength for number, strength in enumerate(recipe.get("loras") or ())}
    baked = [(row.file_id, strengths[row.role]) for row in merge.inputs.all() if row.file_id and row.role in strengths]
    loras = {"lora": [pk for pk, _strength in baked], **{f"lora_{pk}": f"{strength:g}" for pk, strength in baked}}
    return urlencode({**files, **named, **blocks, **loras}, doseq=True)


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _do(request, pk, merges.cancel, _("The merge %(name)s is cancelled; nothing is left of it."))


@login_required
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    return _do(request, pk, merges.retry, _("The merge %(name)s is in the queue again."))


def _do(request: HttpRequest, pk: int, what: Any, done: str) -> HttpResponse:
    """Do something to a merge of this person; anybody else's does not exist."""
    merge = Merge.objects.filter(owner_id=request.user.pk, pk=pk).first()
    if merge is None:
        raise Http404
    told(request, lambda: what(merge), done % {"name": printable(merge.file_name)})
    return redirect(back(request, "/my/models") if request.POST.get("next") else "my-models")
