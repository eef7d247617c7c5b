"""The part of a file's page that offers its owner more variants of it, and the form behind it. The rule is `hub.variants`'."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hub import variants
from hub.said import said
from hub.variants import Asked, Offered
from hub.web import access, words
from inference.weights.recipe import KEEPS, PRECISIONS, Recipe
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.models import File


def offers(user: Any, file: File) -> list[Offered]:
    """What may be asked for on a file's page: nothing for those who may not ask."""
    if variants.why_not(user, file):
        return []
    try:
        return variants.offered(file, variants.choices_of(file))
    except variants.NoVariant:
        return []


@login_required
@require_POST
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a variant made; whatever comes of it is said on the file's page."""
    file = access.editable_file(request, pk)
    keep, _dash, precision = request.POST.get("recipe", "").partition("-")
    try:
        if keep not in KEEPS or precision not in PRECISIONS:
            raise FormatError("variants:choose", _("Choose one of the variants in the list."))
        messages.success(request, printable(_said(variants.ask(request.user, file, Recipe(keep, precision))), 600))  # type: ignore[arg-type]
    except FormatError as refusal:
        messages.error(request, said(refusal.sentence, 600))
    return HttpResponseRedirect(f"/file/{pk}")


def _said(asked: Asked) -> str:
    kind = words.recipe(asked.recipe.to_json())
    if asked.new:
        made = _("The variant with %(kind)s is being made. It is checked like any other file before it can be downloaded.")
        return made % {"kind": kind}
    if asked.file is not None:
        return _("%(name)s holds these tensors already.") % {"name": asked.file.name}
    return _("The variant with %(kind)s is under way already.") % {"kind": kind}
