"""My merges that wait, run or failed: shown among my models, cancelled and tried again there. What came out is on the model's page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from hub.web.outcomes import told
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
    rows = merges.of(user).filter(state__in=[*merges.OPEN, MergeState.FAILED])[:SHOWN]
    shown = [Work(merge, _line(merge), merge.state in merges.OPEN) for merge in rows]
    return {"merges": shown, "running": any(work.open for work in shown)}


def _line(merge: Merge) -> str:
    place = lifecycle.place_in_queue(merge)
    state = {MergeState.MERGING: "merging", MergeState.FAILED: "failed"}.get(MergeState(merge.state), f"place {place} in the queue")
    return f"{mergewords.title(merge.recipe)}, {state}"


@login_required
@require_safe
def running(request: HttpRequest) -> HttpResponse:
    """The list alone, asked for again while something moves."""
    return render(request, "accounts/merges.html", context(request.user))  # type: ignore[arg-type]


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _do(request, pk, merges.cancel, "is cancelled; nothing is left of it.")


@login_required
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    return _do(request, pk, merges.retry, "is in the queue again.")


def _do(request: HttpRequest, pk: int, what: Any, said: str) -> HttpResponse:
    """Do something to a merge of this person; anybody else's does not exist."""
    merge = Merge.objects.filter(owner_id=request.user.pk, pk=pk).first()
    if merge is None:
        raise Http404
    told(request, lambda: what(merge), f"The merge {printable(merge.file_name)} {said}")
    return redirect("my-models")
