"""The small form "choose for me" beside a download: takes a wish and keeps it. What it means is `hub.wishes`' and `filelist`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from hub import wishes
from hub.web.site import YEAR, back
from hub.wishes import Wish
from registry.models import User


@dataclass(frozen=True, slots=True)
class Field:
    """One question of the form."""

    name: str
    label: str
    value: str
    options: list[tuple[str, str]]


def of(request: HttpRequest) -> Wish:
    """This visitor's wish: a member's of the account, another's of a cookie. No query beyond the session's."""
    user: Any = request.user
    return wishes.read(user.file_wish) if user.is_authenticated else wishes.read_text(request.COOKIES.get(wishes.COOKIE, ""))


def fields(wish: Wish) -> list[Field]:
    """The form for what is wished now."""
    memory = [(str(gb), _("%(gb)s GB") % {"gb": gb}) for gb in wishes.MEMORY_GB]
    purposes = [("pictures", _("make pictures")), ("train", _("train or merge"))]
    forms = [("safetensors", ".safetensors"), ("ckpt", _(".ckpt, for old programs"))]
    precisions = [("fp16", _("half (fp16)")), ("bf16", _("half (bf16)")), ("fp32", _("full (fp32)"))]
    return [
        Field("memory_gb", _("GPU memory"), str(wish.memory_gb or ""), memory),
        Field("purpose", _("I want to"), wish.purpose, purposes),
        Field("form", _("Format"), wish.form, forms),
        Field("precision", _("Precision"), wish.precision, precisions),
    ]


@csrf_exempt  # a stranger's form comes without the session, and could at worst change which file is offered first
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep a wish, and back to the page that it was said on. An empty form forgets it."""
    wish = wishes.read(request.POST)
    response = HttpResponseRedirect(back(request))
    user: Any = request.user
    if user.is_authenticated:
        User.objects.filter(pk=user.pk).update(file_wish=wish.to_json() if wish.said else {})
    elif wish.said:
        response.set_cookie(wishes.COOKIE, wish.to_text(), max_age=YEAR, samesite="Lax", secure=request.is_secure(), httponly=True)
    else:
        response.delete_cookie(wishes.COOKIE, samesite="Lax")
    return response
