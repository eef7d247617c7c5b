"""Pages about oneself: settings, tokens, my models; and the adapter that tells allauth who may sign up under which name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import Prefetch, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub import pictures
from hub.web import merges
from hub.web.forms import SettingsForm, TokenForm
from inference import previews
from registry import agreements, catalog, queries
from registry.lifecycle import FileState
from registry.models import Entry, File, Role, Status, Token, User, Version

_SITE = """about account accounts admin api art buckets card collections community compare datasets docs download downloads favicon
feed feeds file files gallery guides healthz help image images import kernels language languages licences login logout media
merge merges messages model model-versions models moderation my new oauth oembed picture pictures posts protected raw
renders report reports reviews robots save search settings shards sidecars signup sitemap spaces static suggest system tags theme
tools tray upload upload-parts uploads user users v1 verify weighhouse welcome works www"""
RESERVED = frozenset(_SITE.split())
"""First path segments of this site, now or likely: a person of that name would own an address of ours."""


class AccountAdapter(DefaultAccountAdapter):
    """allauth, told by WEIGH_OPEN_SIGNUP whether strangers may sign up, and which names are taken by the site itself."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.OPEN_SIGNUP)

    def clean_username(self, username: str, shallow: bool = False) -> str:
        if username.lower() in RESERVED | set(settings.S3_BUCKETS.values()):
            raise ValidationError("This name is used by the site itself. Please choose another.")
        return str(super().clean_username(username, shallow))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    form = SettingsForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("account")
    return render(request, "accounts/settings.html", {"form": form})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """My tokens. A new one's secret is in the answer to its creation and nowhere else."""
    form = TokenForm(request.POST or None)
    secret, made = "", None
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        made, secret = Token.issue(request.user, data["name"], data["scope"], data["days"] or None)  # type: ignore[arg-type]
        form = TokenForm()
    mine = Token.objects.filter(owner=request.user, revoked_at=None)  # type: ignore[misc]
    response = render(request, "accounts/tokens.html", {"form": form, "tokens": mine, "secret": secret, "made": made})
    response["Cache-Control"] = "private, no-store"
    return response


@login_required
@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(Token, pk=pk, owner=request.user)
    Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    messages.success(request, f"The token {token.name} is revoked: programs that use it are locked out now.")
    return redirect("tokens")


@login_required
@require_safe
def my_models(request: HttpRequest) -> HttpResponse:
    """Everything I made, what state it is in, what it waits for, and how much of my quota it takes."""
    user: Any = request.user
    files = File.kept.select_related("blob")
    versions = Version.objects.filter(deleted_at=None).prefetch_related(Prefetch("files", files), "kept")
    entries = queries.owned_by(user).prefetch_related(Prefetch("versions", versions, to_attr="mine"))[:500]
    covers = _covers(entries)
    context = {
        "entries": [(entry, [_standing(version) for version in entry.mine], covers.get(entry.pk)) for entry in entries],  # type: ignore[attr-defined]
        "shared": queries.shared_with(user)[:200],
        "used": storage_used(user),
        "quota": settings.USER_QUOTA_BYTES,
        **merges.context(user),
    }
    return render(request, "accounts/my_models.html", context)


def _covers(entries: Iterable[Entry]) -> dict[int, str]:
    """Entry id -> address of the picture that stands for its first version that has one. One query for all."""
    found = previews.covers([version.pk for entry in entries for version in entry.mine])  # type: ignore[attr-defined]
    shown = [(entry, version) for entry in entries for version in reversed(entry.mine) if version.pk in found]  # type: ignore[attr-defined]
    return {entry.pk: pictures.small(found[version.pk], entry.slug)[0] for entry, version in shown}


def _standing(version: Version) -> dict[str, Any]:
    """How a version stands, in words for its owner."""
    files = list(version.files.all())
    uploaded = [file for file in files if file.role == Role.UPLOADED]
    troubled = [file for file in uploaded if file.state in {FileState.FAILED, FileState.QUARANTINED}]
    asked = agreements.request_for(agreements.unanswered(version, files))
    waits_for = catalog.waits_for(files) or asked if version.status == Status.DRAFT else asked
    return {
        "version": version,
        "files": uploaded,
        "troubled": troubled,
        "waits_for": waits_for,
        "publishable": version.status == Status.DRAFT and not waits_for,
    }


def storage_used(user: User) -> int:
    """Bytes that count against a user's quota: what they uploaded, without what failed."""
    mine = File.objects.filter(version__entry__owner=user, role=Role.UPLOADED).exclude(state=FileState.FAILED)
    return int(mine.aggregate(total=Sum("size_bytes"))["total"] or 0)
